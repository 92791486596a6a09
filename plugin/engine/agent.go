package engine

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/bounds"
)

// Agent is a container with the agent. This process sends it JSON documents over its
// attached stdin, which is its lease too, and receives some over its stdout.
type Agent struct {
	api      API
	Name     string
	ID       string
	Lease    *Lease
	output   *io.PipeWriter // carries its stdout to messages
	messages *json.Decoder
	exited   <-chan Exit
}

// AgentContainer holds the settings with which an agent's container is created.
type AgentContainer struct {
	name       string
	Config     *container.Config
	HostConfig *container.HostConfig
	Networking *network.NetworkingConfig
	Lifetime   time.Duration // of the run; the agent ends before
	Binary     []byte        // copied into the container as AgentPath; nil if the image has the agent
	// BeforeStart is called when the container has been created and is about to be started.
	// It may be nil.
	BeforeStart func()
}

// AgentPath is the path of the agent in its own image, and in containers of the user's
// image.
const AgentPath = "/nestprobe-agent"

// NewAgentContainer returns the settings of a container whose agent has the role and is
// controlled over its stdin. It gets the least it needs; the caller adds to that.
func NewAgentContainer(name, image, role string, l Labels) AgentContainer {
	return AgentContainer{
		name:     name,
		Lifetime: l.Lifetime,
		Config: &container.Config{
			Image:     image,
			Cmd:       []string{role},
			Labels:    l.helperValues(),
			OpenStdin: true, StdinOnce: true,
			AttachStdin: true, AttachStdout: true, AttachStderr: true,
		},
		HostConfig: &container.HostConfig{
			ReadonlyRootfs: true,
			CapDrop:        []string{"ALL"},
			SecurityOpt:    []string{"no-new-privileges"},
			IpcMode:        container.IPCModeNone,
			LogConfig:      container.LogConfig{Type: "none"},
			AutoRemove:     true,
			Resources:      AgentLimits(),
		},
	}
}

// StartAgent creates and starts an agent's container, and watches it until watching
// ends. The caller removes the container by its name, even after an error.
func (e Engine) StartAgent(ctx, watching context.Context, c AgentContainer) (agent *Agent, err error) {
	limits := c.HostConfig.Resources
	err = e.StartLimited(ctx, c.name, c.HostConfig.PortBindings, func(limited bool) (*Lease, error) {
		c.HostConfig.Resources = container.Resources{}
		if limited {
			c.HostConfig.Resources = limits
		}
		agent, err = e.startAgent(ctx, watching, c)
		return nil, err // it releases the lease itself
	})
	return agent, err
}

func (e Engine) startAgent(ctx, watching context.Context, c AgentContainer) (*Agent, error) {
	api := e.API
	created, err := e.createAgent(ctx, c)
	if err != nil {
		return nil, CreateFault("container "+c.name, err)
	}
	a := &Agent{api: api, Name: c.name, ID: created.ID}
	if c.Binary != nil {
		if err := a.copyIn(ctx, c.Binary); err != nil {
			return nil, err
		}
	}
	reader, writer := io.Pipe()
	if a.Lease, err = TakeLease(ctx, api, a.ID, writer); err != nil {
		return nil, AttachFault(ctx, api, "container "+c.name, a.ID, err)
	}
	a.output = writer
	a.messages = json.NewDecoder(bounds.Documents(reader, "POST /containers/{id}/attach"))
	context.AfterFunc(watching, func() { _ = reader.CloseWithError(context.Cause(watching)) })
	a.exited = WatchExit(watching, api, a.ID)
	if c.BeforeStart != nil {
		c.BeforeStart()
	}
	if err := api.ContainerStart(ctx, a.ID, container.StartOptions{}); err != nil {
		_ = reader.CloseWithError(err)
		a.Lease.Release() // nobody else has it
		return nil, StartFault("container "+c.name, err)
	}
	return a, nil
}

// createAgent creates an agent's container. If the engine does not have the agent's image, a
// plugin of another version has replaced it by its own: then it is loaded again, once.
// A container in a pod of Podman shares its namespaces only with containers of the pod; then
// the agent gets them by their paths.
func (e Engine) createAgent(ctx context.Context, c AgentContainer) (container.CreateResponse, error) {
	created, err := c.create(ctx, e.API)
	if err != nil && podRefuses.MatchString(err.Error()) {
		if err := c.joinByPath(ctx, e.API); err != nil {
			return created, err
		}
		created, err = c.create(ctx, e.API)
	}
	if c.Binary != nil || !errdefs.IsNotFound(err) { // the image of the user is not loaded here
		return created, err
	}
	image, loadErr := e.AgentImage(ctx)
	if loadErr != nil {
		return created, loadErr
	}
	c.Config.Image = image
	return c.create(ctx, e.API)
}

// podRefuses is Podman's error for a container that is to share the namespaces of one in a pod
// (libpod, Runtime.validateContainer and Container.checkDependenciesAndNamespaces).
var podRefuses = regexp.MustCompile(`is part of a pod, but container is not`)

// joinByPath replaces the container whose namespaces are shared by their paths on the engine's
// host (Podman's mode ns:PATH). They are those of its process at this time.
func (c AgentContainer) joinByPath(ctx context.Context, api API) error {
	owner, err := api.ContainerInspect(ctx, c.HostConfig.NetworkMode.ConnectedContainer())
	if err != nil {
		return err
	}
	if owner.State == nil || owner.State.Pid <= 0 {
		return fmt.Errorf("container %s does not run", c.HostConfig.NetworkMode.ConnectedContainer())
	}
	path := fmt.Sprintf("ns:/proc/%d/ns/", owner.State.Pid)
	c.HostConfig.NetworkMode = container.NetworkMode(path + "net")
	if c.HostConfig.PidMode.IsContainer() {
		c.HostConfig.PidMode = container.PidMode(path + "pid")
	}
	return nil
}

func (c AgentContainer) create(ctx context.Context, api API) (container.CreateResponse, error) {
	creating, cancel := Extend(ctx, CreateGrace)
	defer cancel()
	return api.ContainerCreate(creating, c.Config, c.HostConfig, c.Networking, (*ocispec.Platform)(nil), c.name)
}

// copyIn copies the agent into a container whose image does not have it.
func (a *Agent) copyIn(ctx context.Context, binary []byte) error {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	err := w.WriteHeader(&tar.Header{Name: AgentPath[1:], Mode: 0o755, Size: int64(len(binary))})
	if err == nil {
		_, err = w.Write(binary)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return fmt.Errorf("packing the agent: %w", err)
	}
	if err := a.api.CopyToContainer(ctx, a.ID, "/", &archive, container.CopyToContainerOptions{}); err != nil {
		return fmt.Errorf("copying the agent into the client container: %w", err)
	}
	return nil
}

// Send sends the agent a document, as a line of JSON.
func (a *Agent) Send(document any) error {
	data, err := json.Marshal(document)
	if err != nil {
		return fmt.Errorf("writing to the agent: %w", err)
	}
	if _, err := a.Lease.connection.Conn.Write(append(data, '\n')); err != nil {
		return fmt.Errorf("writing to the agent: %w", err)
	}
	return nil
}

// Receive waits for the agent's next document. If the agent exits without one, the error
// has its exit code and the last lines of its stderr.
func (a *Agent) Receive(ctx context.Context, document any) error {
	err := a.messages.Decode(document)
	if err == nil {
		return nil
	}
	_ = a.output.CloseWithError(err) // never returns an error; what else arrives is discarded
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if bounds.Is(err) {
		return fmt.Errorf("reading from container %s: %w", a.Name, err)
	}
	a.Lease.Release()
	exiting := time.NewTimer(bounds.AnswerTime)
	defer exiting.Stop()
	select {
	case <-exiting.C:
		return fmt.Errorf("the output of container %s could not be read: %w", a.Name, err)
	case e := <-a.exited:
		e.Lines = a.Lease.Output.Lines()
		if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
			e.Lines = append(e.Lines, "its output could not be read: "+err.Error())
		}
		return e.agentError(a.Name)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ReceiveWithin is Receive for a document that the agent sends soon, if it runs at all.
func (a *Agent) ReceiveWithin(ctx context.Context, limit time.Duration, document any) error {
	late := bounds.Late("POST /containers/{id}/attach", "no output of container "+a.Name, limit)
	timer := time.AfterFunc(limit, func() { _ = a.output.CloseWithError(late) })
	defer timer.Stop()
	return a.Receive(ctx, document)
}

// agentError is the error of an agent that exited before it had done its work, with the
// exit code and the last lines of output.
func (e Exit) agentError(container string) error {
	if e.Err != nil {
		return fmt.Errorf("container %s was lost: %w", container, e.Err)
	}
	message := fmt.Sprintf("container %s exited with code %d before it had done its work", container, e.Code)
	for _, line := range e.Lines {
		message += "; " + line
	}
	return errors.New(message)
}
