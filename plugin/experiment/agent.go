package experiment

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// agent is an agent's container that this process talks to: JSON documents over
// its attached stdin, which is its lease too, and over its stdout.
type agent struct {
	api      API
	name     string
	id       string
	lease    *lease
	messages *json.Decoder
	exited   <-chan exit
}

// agentContainer says how an agent's container is made.
type agentContainer struct {
	name       string
	config     *container.Config
	hostConfig *container.HostConfig
	networking *network.NetworkingConfig
	binary     []byte // put into the container as /nestprobe-agent; nil if the image has it
}

// agentPath is where the agent is in its image, and in images of the user's.
const agentPath = "/nestprobe-agent"

// newAgentContainer returns the settings of a container for an agent that does
// work over its stdin. It gets the least it needs; the caller adds to that.
func newAgentContainer(name, image, role string, l labels) agentContainer {
	return agentContainer{
		name: name,
		config: &container.Config{
			Image:     image,
			Cmd:       []string{role},
			Labels:    l.helper(),
			OpenStdin: true, StdinOnce: true,
			AttachStdin: true, AttachStdout: true, AttachStderr: true,
		},
		hostConfig: &container.HostConfig{
			ReadonlyRootfs: true,
			CapDrop:        []string{"ALL"},
			SecurityOpt:    []string{"no-new-privileges"},
			IpcMode:        container.IPCModeNone,
			LogConfig:      container.LogConfig{Type: "none"},
			AutoRemove:     true,
		},
	}
}

// startAgent creates and starts an agent's container. It is watched for as long
// as ctx lasts. The caller removes it by its name, whatever became of it.
func startAgent(ctx context.Context, api API, c agentContainer) (*agent, error) {
	creating, cancel := outlast(ctx) // see server.create
	defer cancel()
	created, err := api.ContainerCreate(creating, c.config, c.hostConfig, c.networking, (*ocispec.Platform)(nil), c.name)
	if err != nil {
		return nil, createFault("container "+c.name, err)
	}
	a := &agent{api: api, name: c.name, id: created.ID}
	if c.binary != nil {
		if err := a.copyIn(ctx, c.binary); err != nil {
			return nil, err
		}
	}
	reader, writer := io.Pipe()
	if a.lease, err = takeLease(ctx, api, a.id, writer); err != nil {
		return nil, attachFault(ctx, api, "container "+c.name, a.id, err)
	}
	a.messages = json.NewDecoder(reader)
	context.AfterFunc(ctx, func() { _ = reader.CloseWithError(context.Cause(ctx)) })
	a.exited = watch(ctx, api, a.id)
	if err := api.ContainerStart(ctx, a.id, container.StartOptions{}); err != nil {
		return nil, startFault("container "+c.name, err)
	}
	return a, nil
}

// copyIn puts the agent into a container of an image that does not have it.
func (a *agent) copyIn(ctx context.Context, binary []byte) error {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	err := w.WriteHeader(&tar.Header{Name: agentPath[1:], Mode: 0o755, Size: int64(len(binary))})
	if err == nil {
		_, err = w.Write(binary)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return fmt.Errorf("packing the agent: %w", err)
	}
	if err := a.api.CopyToContainer(ctx, a.id, "/", &archive, container.CopyToContainerOptions{}); err != nil {
		return fmt.Errorf("copying the agent into the client container: %w", err)
	}
	return nil
}

// send gives the agent a document.
func (a *agent) send(document any) error {
	data, err := json.Marshal(document)
	if err != nil {
		return fmt.Errorf("writing to the agent: %w", err)
	}
	if _, err := a.lease.connection.Conn.Write(append(data, '\n')); err != nil {
		return fmt.Errorf("writing to the agent: %w", err)
	}
	return nil
}

// receive waits for the agent's next document. An agent that has none left has
// failed; what it said last is the error.
func (a *agent) receive(ctx context.Context, document any) error {
	err := a.messages.Decode(document)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	a.lease.release()
	select {
	case e := <-a.exited:
		e.lines = a.lease.output.lines()
		if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
			e.lines = append(e.lines, "what it said could not be read: "+err.Error())
		}
		return &agentExit{container: a.name, exit: e}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// agentExit is the error of an agent that ended before it had done its work.
type agentExit struct {
	container string
	exit      exit
}

func (e *agentExit) Error() string {
	if e.exit.err != nil {
		return fmt.Sprintf("container %s was lost: %v", e.container, e.exit.err)
	}
	message := fmt.Sprintf("container %s exited with code %d before it had done its work", e.container, e.exit.code)
	for _, line := range e.exit.lines {
		message += "; " + line
	}
	return message
}

func (e *agentExit) Unwrap() error { return e.exit.err }
