package target

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"

	"github.com/nestprobe/docker-nestprobe/plugin/experiment/candidates"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/target/meaning"
)

// explainContainer explains a server in a container.
func (r *run) explainContainer(ctx context.Context) error {
	response, err := r.meant.FindFor(ctx, r.target.Container)
	if err != nil {
		return err
	}
	r.known.Meaning = r.meant.Text
	down, err := r.faultBefore(ctx, response)
	if err != nil {
		return err
	}
	r.namespace = facts.NamespaceOwner(response)
	if response, r.known.NetworkOf, err = facts.WithNetworkOwner(ctx, r.reader, response); err != nil {
		return err
	}
	port, err := targetPort(response, r.target)
	if err != nil {
		return err
	}
	if inside := meaning.ContainerPort(response, port); inside != port && !r.here {
		r.known.Meaning = fmt.Sprintf("container %s maps port %d of the host to its port %d", facts.ContainerName(response), port, inside)
		port = inside
	}
	r.setServer(response, port)
	defer r.watchExit(ctx, response)()
	if r.known.Replicas, err = r.meant.ListReplicas(ctx, response); err != nil {
		return err
	}
	if err := r.probeUnlessDown(ctx, cmp.Or(down, r.detachedFault(ctx))); err != nil {
		return err
	}
	if r.known.Server.Down == nil {
		r.known.Server.Down = r.leftBehind(ctx)
	}
	if r.known.Server.Down != nil {
		r.distrust()
	}
	r.noteUnknown()
	r.summarize()
	r.addState()
	return nil
}

// faultBefore says why a container cannot answer, from its state and that of the container
// whose network it shares; nil if it may.
func (r *run) faultBefore(ctx context.Context, response container.InspectResponse) (*report.Fault, error) {
	if down := r.downFault(ctx, response); down != nil {
		return down, nil
	}
	return StaleNetworkFault(ctx, r.reader, response)
}

// probeUnlessDown probes the container from the places, unless it cannot answer, and then
// looks at its state again.
func (r *run) probeUnlessDown(ctx context.Context, down *report.Fault) error {
	if r.known.Server.Down = down; down != nil {
		return r.prepareOnce(ctx)
	}
	return r.recheck(ctx, r.probeFromPlaces(ctx, r.containerCandidates))
}

// targetPort is the port that the user means: the one given, otherwise the only one
// published, otherwise the only one exposed.
func targetPort(response container.InspectResponse, target Target) (uint16, error) {
	if target.Port != 0 {
		return target.Port, nil
	}
	var published, exposed []uint16
	if response.HostConfig != nil {
		for port, bindings := range response.HostConfig.PortBindings {
			if len(bindings) > 0 { // Podman lists ports here that are only exposed
				published = meaning.AppendTCP(published, string(port))
			}
		}
	}
	if response.Config != nil {
		for port := range response.Config.ExposedPorts {
			exposed = meaning.AppendTCP(exposed, string(port))
		}
	}
	for _, ports := range [][]uint16{published, exposed} {
		if len(ports) == 1 {
			return ports[0], nil
		}
	}
	slices.Sort(exposed)
	name := facts.ContainerName(response)
	if len(exposed) == 0 {
		return 0, fmt.Errorf("container %s exposes no TCP port: give the port of its server with %s:PORT", name, name)
	}
	return 0, fmt.Errorf("container %s has the TCP ports %v: choose one with %s:PORT", name, exposed, name)
}

// setServer records what the engine reports about the container.
func (r *run) setServer(response container.InspectResponse, port uint16) {
	r.known.Container = &response
	r.found = facts.ReadContainer(response, port)
	name := facts.ContainerName(response)
	r.found.Service = meaning.ServiceOf(response)
	server := report.Server{
		ID:        response.ID,
		Name:      name,
		Port:      port,
		Networks:  r.found.ReportNetworks,
		Published: r.found.Published,
	}
	if response.Config != nil {
		server.Image = response.Config.Image
	}
	r.report.Servers = []report.Server{server}
	r.known.Server = facts.NewServer(name, port, r.found)
	r.known.Server.NetworkOf = r.known.NetworkOf
	r.known.Server.UnknownAddress = r.meant.UnknownAddress
	r.known.Server.OwnLocalhost, r.known.Server.MeantInstead = r.meant.OwnLocalhost, r.meant.MeantInstead
}

// containerCandidates returns the addresses of the container to try from a place.
func (r *run) containerCandidates(p *place) []candidates.Candidate {
	addresses := r.found.Addresses
	addresses.EngineHost = r.engine.Host
	addresses.HostAddresses = r.engine.HostAddresses
	addresses.NodeAddress = r.description.NodeAddress
	addresses.Desktop = r.description.Endpoint.Engine.Desktop
	addresses.Client, addresses.ClientOnHost = p.found.Networks, p.found.HostNetwork
	addresses.SharesNamespace = p.vantage.Container != "" && r.isInside(p)
	addresses.Names = r.names()
	p.vantage.LogCandidates(addresses)
	return p.vantage.Candidates(addresses)
}

// names returns the container's names for other containers, the longest-lived first: a
// Compose service keeps its name when its numbered containers are created anew. The name
// is left out if the service has replicas, since any of them may answer.
func (r *run) names() []string {
	names := []string{cmp.Or(r.known.NetworkOf, r.known.Server.Name)}
	for _, alias := range r.found.Aliases {
		switch {
		case alias == r.found.Service && len(r.known.Replicas) > 0:
		case alias == r.found.Service:
			names = append([]string{alias}, names...)
		case !strings.HasPrefix(r.report.Servers[0].ID, alias): // engines add the short id
			names = append(names, alias)
		}
	}
	return names
}
