package experiment

import (
	"context"
	"fmt"
	"slices"

	"github.com/docker/docker/api/types/image"
	"github.com/docker/go-connections/nat"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// ensureImage makes the server's image available and returns its reference.
func (r *run) ensureImage(ctx context.Context) (string, error) {
	if r.spec.Builtin() {
		defer r.progress.Step("Putting the agent image on the engine")()
		return r.engine.AgentImage(ctx)
	}
	user := engine.Image{Ref: r.spec.Image, Platform: r.spec.Platform, Pull: r.spec.Pull}
	found, err := user.Ensure(ctx, r.engine, r.progress)
	if err != nil {
		return "", err
	}
	if r.spec.Port == 0 {
		r.spec.Port, err = onlyPort(r.spec, found)
	}
	return r.spec.Image, err
}

// onlyPort returns the port to probe if the user has given none: the one that is
// published, else the one that the image exposes.
func onlyPort(spec Spec, found image.InspectResponse) (uint16, error) {
	if ports := tcpPorts(spec.Exposed); len(ports) == 1 {
		return ports[0], nil
	}
	var exposed nat.PortSet
	if found.Config != nil {
		exposed = make(nat.PortSet, len(found.Config.ExposedPorts))
		for port := range found.Config.ExposedPorts {
			exposed[nat.Port(port)] = struct{}{}
		}
	}
	switch ports := tcpPorts(exposed); len(ports) {
	case 0:
		return 0, portError("image %s exposes no TCP port: specify the port that its server listens on", spec.Image)
	case 1:
		return ports[0], nil
	default:
		return 0, portError("image %s exposes several TCP ports %v: choose one", spec.Image, ports)
	}
}

func portError(format string, args ...any) error {
	return &report.SettingError{Setting: report.SettingPort, Err: fmt.Errorf(format, args...)}
}

func tcpPorts(set nat.PortSet) []uint16 {
	var ports []uint16
	for port := range set {
		if port.Proto() == "tcp" {
			ports = append(ports, uint16(port.Int())) //nolint:gosec // nat.ParsePortSpecs has checked its range; an image's odd port fails to publish
		}
	}
	slices.Sort(ports)
	return ports
}
