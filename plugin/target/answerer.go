package target

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// findAnswerers finds out who answers at the addresses of this machine at which another
// server answered: a container that publishes the port there, or a process of this
// machine. What cannot be read is left out.
func (r *run) findAnswerers(ctx context.Context) error {
	for _, p := range r.places {
		if p.vantage.InContainer() {
			continue
		}
		for _, probe := range p.probes {
			if !r.isAnotherServer(probe) || probe.Kind == report.KindContainerName {
				continue
			}
			address, err := netip.ParseAddrPort(probe.Address)
			if err != nil {
				continue
			}
			who, err := r.answererAt(ctx, address)
			if err != nil {
				return err
			}
			if who != "" {
				p.answerers = append(p.answerers, who)
			}
		}
	}
	return nil
}

// isAnotherServer says whether another server has accepted a probe. On the host's network
// no forwarder accepts connections for the server, so one that has said nothing counts too.
func (r *run) isAnotherServer(p report.Probe) bool {
	return p.Failure == netprobe.WrongServer || r.seesProcesses && p.Identity == netprobe.IdentityMismatch
}

// answererAt says who listens at an address of this machine; empty if that is not known.
func (r *run) answererAt(ctx context.Context, address netip.AddrPort) (string, error) {
	publishers, err := r.meant.PublishersOf(ctx, address.Port())
	if err != nil {
		return "", err
	}
	for _, p := range publishers {
		switch {
		case !p.Covers(address.Addr()) || r.engine.Host != "":
		case p.ID == r.known.Container.ID:
			return fmt.Sprintf("the engine publishes the port at %s, so a rule of the host's nat table may lead the connection elsewhere: sudo iptables -t nat -S lists them", address), nil
		default:
			return fmt.Sprintf("container %s publishes port %d at %s", p.Name, p.Port, address), nil
		}
	}
	if name, pid := listening.Owner(address); name != "" {
		return fmt.Sprintf("process %s (pid %d) of this machine listens at %s", name, pid, address), nil
	}
	return "", nil
}
