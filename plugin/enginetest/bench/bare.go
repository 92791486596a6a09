package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
	"github.com/docker/go-connections/nat"
	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/plugin/engine/agentimage"
	"github.com/nestprobe/docker-nestprobe/plugin/engine/agentimage/agents"
)

const port = "4647/tcp"

// bareCalls creates, starts and inspects servers, sends requests to each until it
// answers 200, and removes it: all of them in parallel, in containers set up as
// nestprobe's.
func bareCalls(ctx context.Context, known target, servers int) error {
	api, err := known.open()
	if err != nil {
		return err
	}
	defer func() { _ = api.Close() }()
	group, ctx := errgroup.WithContext(ctx)
	for range servers {
		group.Go(func() error { return bareServer(ctx, api, known.image) })
	}
	return group.Wait()
}

// target is what the program with only the bare calls knows beforehand.
type target struct {
	image   string // the agent's
	version string // of the API
}

// learnTarget learns it from the endpoint in the environment.
func learnTarget(ctx context.Context) (target, error) {
	api, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		return target{}, err
	}
	defer func() { _ = api.Close() }()
	version, err := api.ServerVersion(ctx)
	if err != nil {
		return target{}, err
	}
	image, err := agentimage.Reference(agents.Files, version.Os, version.Arch)
	return target{image: image, version: api.ClientVersion()}, err
}

// command begins a command line of this program with what it is to know.
func (t target) command(self string) []string {
	return slices.Clip([]string{self, "-image", t.image, "-api", t.version})
}

// open is the API of the endpoint in the environment.
func (t target) open() (*client.Client, error) {
	return client.NewClientWithOpts(client.FromEnv, client.WithVersion(t.version))
}

func bareServer(ctx context.Context, api *client.Client, image string) error {
	return withContainer(ctx, api, image, container.HostConfig{PortBindings: nat.PortMap{port: {{}}}}, func(id string) error { return reach(ctx, api, id) })
}

// bareNested starts a container in the place of the client, and then, as that
// would, a server.
func bareNested(ctx context.Context, known target) error {
	api, err := known.open()
	if err != nil {
		return err
	}
	defer func() { _ = api.Close() }()
	return withContainer(ctx, api, known.image, container.HostConfig{}, func(string) error { return bareServer(ctx, api, known.image) })
}

// withContainer creates and starts a container of the agent, and removes it when
// use has returned.
func withContainer(ctx context.Context, api *client.Client, image string, host container.HostConfig, use func(id string) error) error {
	id, err := startContainer(ctx, api, image, host)
	if err == nil {
		err = use(id)
	}
	if id == "" {
		return err
	}
	return errors.Join(err, api.ContainerRemove(context.WithoutCancel(ctx), id, container.RemoveOptions{Force: true}))
}

// startContainer starts a server in a container that is set up as nestprobe's are.
// The caller removes it if it has an id.
func startContainer(ctx context.Context, api *client.Client, image string, host container.HostConfig) (id string, err error) {
	config := &container.Config{Image: image, Cmd: []string{"serve", "--identity", "bare"}}
	if host.NetworkMode.IsContainer() {
		// The server of that container has the usual port, so this one would exit,
		// and Podman does not remove a container that is about to exit.
		config.Cmd = append(config.Cmd, "--port", "4648")
	}
	for port := range host.PortBindings {
		config.ExposedPorts = nat.PortSet{port: {}}
	}
	host.ReadonlyRootfs = true
	host.CapDrop = []string{"ALL"}
	host.SecurityOpt = []string{"no-new-privileges"}
	host.IpcMode = container.IPCModeNone
	host.LogConfig = container.LogConfig{Type: "none"}
	created, err := api.ContainerCreate(ctx, config, &host, nil, nil, "")
	if err != nil {
		return "", err
	}
	return created.ID, api.ContainerStart(ctx, created.ID, container.StartOptions{})
}

func reach(ctx context.Context, api *client.Client, id string) error {
	inspected, err := api.ContainerInspect(ctx, id)
	if err != nil {
		return err
	}
	bindings := inspected.NetworkSettings.Ports[port]
	if len(bindings) == 0 {
		return fmt.Errorf("the engine published nothing for %s", port)
	}
	return awaitAnswer(ctx, "http://127.0.0.1:"+bindings[0].HostPort+"/foo")
}

// awaitAnswer sends a request every millisecond until the answer is 200.
func awaitAnswer(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	transport := &http.Transport{DisableKeepAlives: true}
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		response, err := transport.RoundTrip(request)
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
