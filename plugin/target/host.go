package target

import (
	"context"
	"fmt"
	"slices"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/candidates"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/target/meaning"
)

// explainHost explains which address of the engine's host leads to a server there from a
// container. With Docker Desktop, the host is the user's machine.
func (r *run) explainHost(ctx context.Context) error {
	port := r.target.Port
	r.known.Server = facts.Server{Name: "the host", Host: true, HostNetwork: true, Port: port}
	r.report.Servers = []report.Server{{Name: probing.VantageHost, Port: port, Networks: []report.Network{}, Published: []report.PortBinding{}}}
	publishers, err := r.meant.PublishersOf(ctx, port)
	if err != nil { // it only adds detail
		r.progress.Note(netprobe.Visible(err.Error(), report.MaxLine))
	}
	for _, p := range publishers {
		r.known.Server.PublishedBy = append(r.known.Server.PublishedBy, facts.Publisher{Container: p.Name, Port: p.Port, Bindings: p.Bindings})
	}
	if len(publishers) > 0 {
		r.known.Meaning = fmt.Sprintf("port %d of the host is published by container %s", port, meaning.JoinPublishers(publishers))
	}
	if err := r.probeFromPlaces(ctx, r.hostCandidates); err != nil {
		return err
	}
	r.noteUnknown()
	r.summarize()
	return nil
}

// hostCandidates returns the addresses of the host to try from a place.
func (r *run) hostCandidates(p *place) []candidates.Candidate {
	port := r.target.Port
	var l candidates.List
	if !p.vantage.InContainer() {
		l.Add(report.KindHostAddress, candidates.Loopback4, port, "this machine's loopback address")
		l.Add(report.KindHostAddress, candidates.Loopback6, port, "this machine's loopback address")
	}
	for _, n := range slices.Concat(p.found.Networks, p.vantage.Gateways) {
		l.Add(report.KindHostGateway, n.GatewayIPv4, port, "the gateway of this container on "+n.Name)
		l.Add(report.KindHostGateway, n.GatewayIPv6, port, "the gateway of this container on "+n.Name)
	}
	if p.vantage.InContainer() {
		for _, name := range candidates.HostAliases {
			l.AddName(report.KindHostAlias, name, port, "an engine's name for its host")
		}
	}
	for _, ip := range r.engine.HostAddresses {
		l.Add(report.KindHostAddress, ip, port, "an address of the host's interfaces")
	}
	if host := r.engine.Host; host != "" {
		l.AddName(report.KindHostAddress, host, port, "the endpoint's host")
	}
	return l.Candidates
}
