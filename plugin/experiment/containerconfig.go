package experiment

import (
	"strconv"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"

	"github.com/nestprobe/docker-nestprobe/plugin/facts"
)

// config returns the settings of the server's container.
func (s *server) config() (*container.Config, *container.HostConfig) {
	spec := s.run.spec
	config := &container.Config{
		Image:        s.image,
		Cmd:          spec.Command,
		Env:          spec.Env,
		User:         spec.User,
		ExposedPorts: spec.Exposed,
		Labels:       s.run.labels.Values(),
	}
	if spec.PublishPort {
		config.ExposedPorts = nat.PortSet{facts.TCPPort(spec.Port): {}}
		spec.Bindings = nat.PortMap{facts.TCPPort(spec.Port): {{}}}
	}
	hostConfig := &container.HostConfig{
		PortBindings: spec.Bindings,
		ExtraHosts:   spec.AddHosts,
		NetworkMode:  container.NetworkMode(s.firstNetwork().Name),
	}
	if spec.Builtin() {
		s.configureBuiltin(config, hostConfig)
	}
	return config, hostConfig
}

// configureBuiltin gives the built-in server the least it needs: a read-only file
// system, no capability, no shared memory, and no log on the engine's disk if the lease
// carries its output.
func (s *server) configureBuiltin(config *container.Config, hostConfig *container.HostConfig) {
	spec := s.run.spec
	config.Cmd = []string{
		"serve",
		"--port", strconv.Itoa(int(spec.Port)),
		"--scheme", string(spec.Scheme),
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
	if !spec.Lasting {
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
