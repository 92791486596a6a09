// Package probing sends probes from a vantage: a race between attempts, a second question
// where the first answer decides nothing, and repeated probes, one by one, of a server that
// handles one request at a time. Results become rows of a Report.
package probing

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/candidates"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/ranking"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/witness"
)

// The names of vantages. A running container of the user is VantageContainer followed by
// its name.
const (
	VantageHost      = report.VantageHost
	VantageClient    = "client"
	VantagePeer      = report.VantagePeer
	VantageContainer = report.VantageContainer
	VantageNetwork   = "network:" // and a network's name: a helper on that network
)

// Vantage is where probes are sent from.
type Vantage struct {
	Name string
	// Container is the ID or name of the container from whose network the probes are
	// sent, on the servers' engine; empty for a process outside of its containers.
	Container string
	// Foreign says that the probes are sent from a container that the servers' engine does
	// not run.
	Foreign bool
	// Gateways are those by which a Foreign container leaves its own network.
	Gateways []facts.Network
	// Client is what is known of Container; nil if that is to be inspected.
	Client *facts.ClientContainer
	// Down is why Container reaches nothing; nil if it may.
	Down *report.Fault
	// Roots are PEM certificates of the authorities that are trusted there; empty for those
	// that the process which sends the probes finds.
	Roots []byte
	// Prober sends the probes; nil if this process sends them.
	Prober Prober
}

// Prober runs races in another process, and holds connections there.
type Prober interface {
	Run(ctx context.Context, race netprobe.Race) ([]netprobe.Result, error)
	witness.Holder
}

// Holder holds connections at the vantage.
func (v Vantage) Holder() witness.Holder {
	if v.Prober == nil {
		return witness.Here{}
	}
	return v.Prober
}

// Here returns the vantage of this process, which is in a container if self is not nil.
func Here(self *facts.Self) Vantage {
	v := Vantage{Name: self.Report().Vantage()}
	switch {
	case self.OnHost():
	case self.Foreign():
		v.Foreign, v.Gateways = true, self.Gateways
	default:
		v.Container, v.Client = self.ID, self.Client
	}
	return v
}

// InContainer says whether the probes are sent from a container.
func (v Vantage) InContainer() bool { return v.Container != "" || v.Foreign }

// LogCandidates logs why addresses are tried from the vantage, and why others are not.
func (v Vantage) LogCandidates(f facts.Addresses) {
	all := v.Candidates(f)
	for _, c := range all {
		slog.Debug("address", "from", v.Name, "kind", c.Kind, "address", c.Address, "reason", c.Reason)
	}
	for _, left := range candidates.LeftOut(f, v.InContainer(), all) {
		slog.Debug("no address", "from", v.Name, "kind", left.Kind, "reason", left.Reason)
	}
}

// Candidates returns the addresses to try from the vantage.
func (v Vantage) Candidates(f facts.Addresses) []candidates.Candidate {
	switch {
	case v.Foreign:
		return candidates.ForForeign(f, v.Gateways)
	case v.Container == "":
		return candidates.ForHost(f)
	default:
		return candidates.ForContainer(f)
	}
}

// Inspect reads what matters of the vantage's container.
func (v Vantage) Inspect(ctx context.Context, api engine.API) (facts.ClientContainer, error) {
	if v.Client != nil {
		return *v.Client, nil
	}
	if v.Container == "" {
		return facts.ClientContainer{}, nil
	}
	response, err := facts.InspectContainer(ctx, api, v.Container)
	if err != nil {
		return facts.ClientContainer{}, err
	}
	return facts.ReadClientContainer(ctx, api, response)
}

// ContainerVantage returns the vantage of a running container. It is an error if the
// container does not exist or does not run.
func ContainerVantage(ctx context.Context, api engine.Reader, target string) (Vantage, error) {
	response, err := api.ContainerInspect(ctx, target)
	if errdefs.IsNotFound(err) {
		return Vantage{}, fmt.Errorf("there is no container %s to send probes from: docker ps lists the running containers", target)
	}
	if err != nil {
		return Vantage{}, fmt.Errorf("inspecting container %s: %w", target, err)
	}
	if response.State != nil && response.State.Restarting {
		return Vantage{}, fmt.Errorf("container %[1]s exits and is restarted again and again, so no probes can be sent from it: docker logs %[1]s shows why", facts.ContainerName(response))
	}
	if !facts.ReadContainer(response, 0).Running {
		return Vantage{}, fmt.Errorf("container %s is not running: start it to send probes from it", facts.ContainerName(response))
	}
	return Vantage{
		Name:      VantageContainer + strings.TrimPrefix(response.Name, "/"),
		Container: response.ID,
	}, nil
}

// KindRanking returns the kinds of addresses that are tried from the vantage, the one
// that stays valid longest first.
func (v Vantage) KindRanking(engineHost string) []report.Kind {
	if v.Foreign || v.Container != "" {
		return ranking.InContainer(v.Foreign)
	}
	return ranking.OnHost(engineHost)
}
