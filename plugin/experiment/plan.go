package experiment

import (
	"context"
	"fmt"
	"slices"

	"github.com/docker/docker/api/types/image"
	"github.com/docker/go-connections/nat"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Plan is what a run does where the Request leaves it open.
type Plan struct {
	Image      string // reference of the servers' image, which is on the engine
	Port       uint16 // the port in the container that is probed
	Exposed    nat.PortSet
	Bindings   nat.PortMap
	Connection Connection
	Keep       bool // leave the servers running
	Health     bool // the image has a health check
}

// completePlan makes the servers' image available, and adds what follows from it.
func (r *run) completePlan(ctx context.Context) (err error) {
	p := &r.plan
	if r.request.Builtin() {
		defer r.options.Progress.Step("Putting the agent image on the engine")()
		p.Image, err = r.engine.AgentImage(ctx)
	} else {
		p.Image = r.request.Image
		p.Port, err = r.ensureUserImage(ctx)
	}
	p.Exposed, p.Bindings = r.request.Exposed, r.request.Bindings
	if port := facts.TCPPort(p.Port); r.request.PublishPort {
		p.Exposed, p.Bindings = nat.PortSet{port: {}}, nat.PortMap{port: {{}}}
	}
	return err
}

// ensureUserImage makes the user's image available and returns the port to probe.
func (r *run) ensureUserImage(ctx context.Context) (uint16, error) {
	user := engine.Image{Ref: r.request.Image, Platform: r.request.Platform, Pull: r.request.Pull}
	found, err := user.Ensure(ctx, r.engine, r.options.Progress)
	if err != nil {
		return 0, err
	}
	r.plan.Health = found.Config != nil && found.Config.Healthcheck != nil
	if r.request.Port != 0 {
		return r.request.Port, nil
	}
	return onlyPort(r.request, found)
}

// onlyPort returns the port to probe if the user has given none: the one that is
// published, else the one that the image exposes.
func onlyPort(request Request, found image.InspectResponse) (uint16, error) {
	if ports := tcpPorts(request.Exposed); len(ports) == 1 {
		return ports[0], nil
	}
	var exposed map[string]struct{}
	if found.Config != nil {
		exposed = found.Config.ExposedPorts
	}
	switch ports := tcpPorts(exposed); len(ports) {
	case 0:
		return 0, portError("image %s exposes no TCP port: specify the port that its server listens on", request.Image)
	case 1:
		return ports[0], nil
	default:
		return 0, portError("image %s exposes several TCP ports %v: choose one", request.Image, ports)
	}
}

func portError(format string, args ...any) error {
	return &report.SettingError{Setting: report.SettingPort, Err: fmt.Errorf(format, args...)}
}

func tcpPorts[Port ~string](set map[Port]struct{}) []uint16 {
	var ports []uint16
	for key := range set {
		if port := nat.Port(key); port.Proto() == "tcp" {
			ports = append(ports, uint16(port.Int())) //nolint:gosec // nat.ParsePortSpecs has checked its range; an image's odd port fails to publish
		}
	}
	slices.Sort(ports)
	return ports
}
