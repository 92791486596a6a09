package experiment

import (
	"strconv"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
)

// config returns the settings of the server's container.
func (s *server) config() (*container.Config, *container.HostConfig) {
	request := s.run.request
	config := &container.Config{
		Image:        s.image,
		Cmd:          request.Command,
		Env:          s.run.serverEnv,
		User:         request.User,
		ExposedPorts: s.run.plan.Exposed,
		Labels:       s.run.labels.Values(),
	}
	hostConfig := &container.HostConfig{
		PortBindings: s.run.plan.Bindings,
		ExtraHosts:   request.AddHosts,
		NetworkMode:  container.NetworkMode(s.firstNetwork().Name),
	}
	if request.Builtin() {
		s.configureBuiltin(config, hostConfig)
	}
	return config, hostConfig
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

func (s *server) firstNetwork() Network {
	return s.run.serverNetworks()[0]
}

// moreNetworks returns the networks after the first. They are connected one by one:
// engines before API 1.44 take only one network when a container is created.
func (s *server) moreNetworks() []Network {
	return s.run.serverNetworks()[1:]
}

func (s *server) networking() *network.NetworkingConfig {
	first := s.firstNetwork()
	if first.Endpoint == nil {
		return nil
	}
	return &network.NetworkingConfig{
		EndpointsConfig: map[string]*network.EndpointSettings{first.Name: first.Endpoint},
	}
}
