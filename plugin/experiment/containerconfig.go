package experiment

import (
	"strconv"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
)

// config returns the settings of the server's container, on the first of its networks.
func (s *server) config() (*container.Config, *container.HostConfig, *network.NetworkingConfig) {
	request, first := s.run.request, s.run.serverNetworks()[0]
	config := &container.Config{
		Image:        s.image,
		Cmd:          request.Command,
		Env:          s.run.options.ServerEnv,
		User:         request.User,
		ExposedPorts: s.run.plan.Exposed,
		Labels:       s.run.labels.Values(),
	}
	hostConfig := &container.HostConfig{
		PortBindings: s.run.plan.Bindings,
		ExtraHosts:   request.AddHosts,
		NetworkMode:  container.NetworkMode(first.Name),
	}
	if request.Builtin() {
		s.configureBuiltin(config, hostConfig)
	}
	if first.Endpoint == nil {
		return config, hostConfig, nil
	}
	endpoints := map[string]*network.EndpointSettings{first.Name: first.Endpoint}
	return config, hostConfig, &network.NetworkingConfig{EndpointsConfig: endpoints}
}

// configureBuiltin gives the built-in server the least it needs: a read-only file
// system, no capability, no shared memory, and no log on the engine's disk if the lease
// carries its output.
func (s *server) configureBuiltin(config *container.Config, hostConfig *container.HostConfig) {
	plan := s.run.plan
	config.Cmd = []string{
		"serve",
		"--port", strconv.Itoa(int(plan.Port)),
		"--scheme", string(s.run.request.Scheme),
		"--identity", s.identity,
	}
	hostConfig.ReadonlyRootfs = true
	hostConfig.CapDrop = []string{"ALL"}
	hostConfig.SecurityOpt = []string{"no-new-privileges"}
	hostConfig.IpcMode = container.IPCModeNone
	if !s.leased() {
		return
	}
	hostConfig.AutoRemove = true
	hostConfig.LogConfig.Type = "none"
	config.Cmd = append(config.Cmd, "--lease")
	if !plan.Lasting {
		config.Cmd = append(config.Cmd, "--deadline", s.run.labels.Lifetime.String())
	}
	config.OpenStdin, config.StdinOnce, config.AttachStdin = true, true, true
	config.AttachStdout, config.AttachStderr = true, true
}
