package target

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/prometheus/procfs"

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
			if probe.Failure != netprobe.WrongServer || probe.Kind == report.KindContainerName {
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

// answererAt says who listens at an address of this machine; empty if that is not known.
func (r *run) answererAt(ctx context.Context, address netip.AddrPort) (string, error) {
	publishers, err := r.publishersOf(ctx, address.Port())
	if err != nil {
		return "", err
	}
	for _, p := range publishers {
		if p.covers(address.Addr()) && p.id != r.known.Container.ID && r.engine.Host == "" {
			return fmt.Sprintf("container %s publishes port %d at %s", p.name, p.port, address), nil
		}
	}
	if name := processAt(address); name != "" {
		return fmt.Sprintf("process %s of this machine listens at %s", name, address), nil
	}
	return "", nil
}

// processAt returns the name and the id of the process of this machine that listens at an
// address; empty if that is not known, such as for a process of another user.
func processAt(address netip.AddrPort) string {
	inodes, err := listening.Inodes(address)
	if err != nil || len(inodes) == 0 {
		return ""
	}
	processes, err := procfs.AllProcs()
	if err != nil {
		return ""
	}
	for _, p := range processes {
		targets, err := p.FileDescriptorTargets()
		if err != nil {
			continue
		}
		owns := func(target string) bool {
			return slices.ContainsFunc(inodes, func(inode uint64) bool { return target == fmt.Sprintf("socket:[%d]", inode) })
		}
		if name, err := p.Comm(); err == nil && slices.ContainsFunc(targets, owns) {
			return fmt.Sprintf("%s (pid %d)", strings.TrimSpace(name), p.PID)
		}
	}
	return ""
}
