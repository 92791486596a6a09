// Package engine holds what nestprobe makes on an engine and removes again: the
// agent's image, containers, networks, their labels and leases, and leftovers of
// earlier runs. Every package that starts a container calls it. It must not know which
// addresses are probed, or why.
package engine

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/api/types/system"
	"github.com/docker/docker/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
)

// Engine is the Docker API that an experiment runs on.
type Engine struct {
	API API
	// Host is the name or address of the machine that a tcp or ssh endpoint
	// leads to; empty for a local one, for a loopback address, and if the endpoint is that of
	// another container, such as a proxy before the engine's socket.
	Host string
	// Loopback says that the endpoint is a port of this machine's loopback. The
	// engine may be on this machine, or at the other end of a tunnel.
	Loopback bool
	// HostAddresses are those of the engine's host on its default routes; none if the host
	// is not known to be the machine of the command.
	HostAddresses []netip.Addr
	// Self is the container that this process is in; nil if it is in none. The agent
	// leaves it nil: its work says in which container it is.
	Self *facts.Self
	// Describe returns what the engine says of itself. It is called while the first
	// containers are being started, and again if a temporary network may need another
	// subnet.
	Describe func(context.Context) (connection.Description, error)
	// Product returns the engine's name as its first answer says it, such as Docker Engine;
	// empty if that does not say it. It sends no request. It may be nil.
	Product func() string
	// Announce is called with the ID of a run before that makes anything. It is nil in the
	// agent, whose runs are announced by the plugin.
	Announce func(run string)
	// Omitted collects the calls that only add detail and did not succeed. May be nil.
	Omitted *connection.Omitted
	// AgentImage loads the agent's image on the engine, if it is not there yet, and
	// returns its reference.
	AgentImage func(context.Context) (string, error)
	// AgentBinary returns the agent's program, to be copied into a container of the
	// user's image. It is nil in the agent, which starts no such container.
	AgentBinary func(context.Context) ([]byte, error)
	// RegistryAuth returns the user's credentials for an image's registry, encoded as
	// the API's X-Registry-Auth header. It is called only before a pull, since it may
	// start a credential helper.
	RegistryAuth func(image string) (string, error)
}

// isPodman says whether the engine is known to be Podman.
func (e Engine) isPodman() bool {
	return e.Product != nil && strings.HasPrefix(e.Product(), "Podman")
}

// NewRun returns the ID of a new run, which it announces.
func (e Engine) NewRun() string {
	id := NewID()
	if e.Announce != nil {
		e.Announce(id)
	}
	return id
}

// OneByOne returns an Engine.AgentImage whose calls run one after the other, so that only
// the first one uploads the image to an engine that does not have it.
func OneByOne(load func(context.Context) (string, error)) func(context.Context) (string, error) {
	running := make(chan struct{}, 1)
	return func(ctx context.Context) (string, error) {
		select {
		case running <- struct{}{}:
			defer func() { <-running }()
			return load(ctx)
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// Reader is the part of API that changes nothing on the engine.
type Reader interface {
	ContainerInspect(ctx context.Context, id string) (container.InspectResponse, error)
	ContainerList(ctx context.Context, options container.ListOptions) ([]container.Summary, error)
	ContainerLogs(ctx context.Context, id string, options container.LogsOptions) (io.ReadCloser, error)
	ContainerWait(ctx context.Context, id string, condition container.WaitCondition) (<-chan container.WaitResponse, <-chan error)
	NetworkInspect(ctx context.Context, id string, options network.InspectOptions) (network.Inspect, error)
	NetworkList(ctx context.Context, options network.ListOptions) ([]network.Summary, error)
}

// API is the part of docker/docker's client.APIClient that nestprobe uses.
type API interface {
	Reader
	ContainerAttach(ctx context.Context, id string, options container.AttachOptions) (types.HijackedResponse, error)
	ContainerCreate(ctx context.Context, config *container.Config, hostConfig *container.HostConfig, networking *network.NetworkingConfig, platform *ocispec.Platform, name string) (container.CreateResponse, error)
	ContainerRemove(ctx context.Context, id string, options container.RemoveOptions) error
	ContainerStart(ctx context.Context, id string, options container.StartOptions) error
	CopyToContainer(ctx context.Context, id, path string, content io.Reader, options container.CopyToContainerOptions) error
	Info(ctx context.Context) (system.Info, error)
	ImageInspect(ctx context.Context, ref string, options ...client.ImageInspectOption) (image.InspectResponse, error)
	ImagePull(ctx context.Context, ref string, options image.PullOptions) (io.ReadCloser, error)
	NetworkConnect(ctx context.Context, network, id string, config *network.EndpointSettings) error
	NetworkCreate(ctx context.Context, name string, options network.CreateOptions) (network.CreateResponse, error)
	NetworkDisconnect(ctx context.Context, network, id string, force bool) error
	NetworkRemove(ctx context.Context, id string) error
	ServiceList(ctx context.Context, options swarm.ServiceListOptions) ([]swarm.Service, error)
	ServiceRemove(ctx context.Context, id string) error
}

// RequestRegistryAuth calls RegistryAuth and returns when that does or ctx ends: a
// credential helper may wait for the user, who may interrupt.
func (e Engine) RequestRegistryAuth(ctx context.Context, image string) (string, error) {
	type answer struct {
		auth string
		err  error
	}
	answers := make(chan answer, 1)
	go func() { // may outlive ctx
		auth, err := e.RegistryAuth(image)
		answers <- answer{auth, err}
	}()
	select {
	case a := <-answers:
		return a.auth, a.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// Progress reports steps that may take long. Its methods may be called from several
// goroutines in parallel.
type Progress interface {
	// Step reports the begin of a step. The caller calls done at its end.
	Step(what string) (done func())
	// Pull prints the stream of messages of an image pull as it arrives, and
	// returns the error that the engine reported in it.
	Pull(stream io.Reader) error
	// Note reports something that the user should know and that is not a result.
	Note(what string)
}

// Plural returns the number with the noun, which gets an s unless the number is 1.
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
