package meaning

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
)

// What a name means depends on who uses it. Each network has names of its own, and a client
// may have links and a hosts file.

// withoutNames are the networks that engines have by themselves: they have no DNS for names.
var withoutNames = []string{"bridge", "host", "none", "podman"}

// scope is what decides what a name means at the one place that the user named.
type scope struct {
	name     string // in a sentence
	networks []string
	project  string // of Compose; empty for none
	links    map[string]string
	hosts    []facts.ExtraHost
}

// scope returns that of the one place that the user named; nil if it is none in which names of
// containers are known.
func (r *Resolver) scope(ctx context.Context) *scope {
	if len(r.From) != 1 || r.From[0] == probing.VantageHost {
		return nil
	}
	if network, ok := strings.CutPrefix(r.From[0], probing.VantageNetwork); ok {
		return &scope{name: "network " + network, networks: []string{network}}
	}
	client, err := r.Find(ctx, r.From[0])
	if err != nil {
		return nil // the place is looked for later, and its error reported then
	}
	with, _, err := facts.WithNetworkOwner(ctx, r.Reader, client)
	if err != nil {
		return nil
	}
	s := &scope{name: "container " + facts.ContainerName(client), hosts: facts.ReadClient(with).ExtraHosts, links: map[string]string{}}
	if with.NetworkSettings != nil {
		for name := range with.NetworkSettings.Networks {
			s.networks = append(s.networks, name)
		}
	}
	slices.Sort(s.networks)
	if client.Config != nil {
		s.project = client.Config.Labels[LabelProject]
	}
	if with.HostConfig != nil {
		for _, link := range with.HostConfig.Links { // /server:/client/alias, or as it was typed
			if server, alias, ok := strings.Cut(link, ":"); ok {
				s.links[strings.ToLower(path.Base(alias))] = strings.TrimPrefix(server, "/")
			}
		}
	}
	return s
}

// FindFor finds the container that a name means at the place that the user named: by its links and its hosts file,
// on its networks, and then in its Compose project. Only then any other container may be meant.
func (r *Resolver) FindFor(ctx context.Context, name string) (container.InspectResponse, error) {
	if r.Address != "" {
		return r.Find(ctx, name) // the id of the container that the address means
	}
	s := r.scope(ctx)
	if s == nil {
		return r.Find(ctx, name)
	}
	if response, by := r.byFiles(ctx, s, name); by != "" {
		return r.takeName(s, name, by, response), nil
	}
	found, err := r.onNetworks(ctx, s, name)
	if err == nil && len(found) == 0 && s.project != "" {
		found, err = r.byService(ctx, name, s.project)
	}
	switch {
	case err != nil:
		return container.InspectResponse{}, fmt.Errorf("looking for %s on the networks of %s: %w", netprobe.Visible(name, maxName), s.name, err)
	case len(found) == 0:
		response, err := r.Find(ctx, name)
		if ip := s.hostsEntry(name); ip.IsValid() && errors.As(err, new(*NotFoundError)) {
			err = fmt.Errorf("the hosts file of %s leads %s to %s, which is no address of a container: start it again without that entry, or with the right address", s.name, netprobe.Visible(name, maxName), ip)
		}
		return response, err
	case len(found) > 1:
		return container.InspectResponse{}, several(name, found)
	}
	response, err := facts.InspectContainer(ctx, r.Reader, found[0].ID)
	if err != nil {
		return response, err
	}
	if r.isAnothers(ctx, name, response.ID) {
		return r.takeName(s, name, "a name on its networks", response), nil
	}
	r.ByClient = true
	return response, nil
}

// isAnothers says whether a name is that of another container.
func (r *Resolver) isAnothers(ctx context.Context, name, id string) bool {
	other, err := facts.InspectContainer(ctx, r.Reader, name)
	return err == nil && other.ID != id
}

// byFiles finds the container that a link or an entry in the hosts file of a place means, and says
// which of the two does; empty for none.
func (r *Resolver) byFiles(ctx context.Context, s *scope, name string) (response container.InspectResponse, by string) {
	if linked := s.links[strings.ToLower(name)]; linked != "" {
		if response, err := facts.InspectContainer(ctx, r.Reader, linked); err == nil {
			return response, "a link"
		}
	}
	ip := s.hostsEntry(name)
	if !ip.IsValid() {
		return response, ""
	}
	found, err := r.byAddress(ctx, ip)
	if err != nil || found.ID == "" {
		return response, ""
	}
	if response, err = facts.InspectContainer(ctx, r.Reader, found.ID); err != nil {
		return response, ""
	}
	return response, "an entry in its hosts file"
}

// takeName notes what a name means, if it is not that of the container.
func (r *Resolver) takeName(s *scope, name, by string, response container.InspectResponse) container.InspectResponse {
	r.ByClient = true
	if own := facts.ContainerName(response); own != name && ServiceOf(response) != name {
		r.Text = fmt.Sprintf("to %s, %s is container %s, by %s", s.name, name, own, by)
	}
	return response
}

// hostsEntry returns the address that the user has given a name in the hosts file.
func (s *scope) hostsEntry(name string) netip.Addr {
	for _, h := range s.hosts {
		if strings.EqualFold(h.Name, name) {
			return facts.ParseAddr(h.Address)
		}
	}
	return netip.Addr{}
}

// onNetworks lists the running containers with a name on the networks of a place, or the
// others with it if none runs. The engine's DNS ignores case, and takes NAME.NETWORK and a dot
// at the end. A container that has it as its own name goes before those that have it as an
// alias.
func (r *Resolver) onNetworks(ctx context.Context, s *scope, name string) ([]container.Summary, error) {
	name = strings.TrimSuffix(name, ".")
	var all []container.Summary
	for _, network := range s.networks {
		if slices.Contains(withoutNames, network) {
			continue
		}
		found, err := r.onNetwork(ctx, network, name)
		if err != nil {
			return nil, err
		}
		for _, c := range found {
			if !slices.ContainsFunc(all, func(known container.Summary) bool { return known.ID == c.ID }) {
				all = append(all, c)
			}
		}
	}
	if running := slices.DeleteFunc(slices.Clone(all), notRunning); len(running) > 0 {
		all = running
	}
	own := func(c container.Summary) bool { return strings.EqualFold(summaryName(c), name) }
	if i := slices.IndexFunc(all, own); i >= 0 {
		return all[i : i+1], nil
	}
	return all, nil
}

// onNetwork lists the containers with a name on one network.
func (r *Resolver) onNetwork(ctx context.Context, network, name string) ([]container.Summary, error) {
	members, err := engine.ListContainers(ctx, r.Reader, filters.NewArgs(filters.Arg("network", network)))
	if err != nil {
		return nil, err
	}
	short := name
	if cut, ok := strings.CutSuffix(strings.ToLower(name), "."+strings.ToLower(network)); ok {
		short = cut
	}
	var found []container.Summary
	for _, c := range members[:min(len(members), maxCandidates)] {
		known, err := r.isCalled(ctx, c, network, name, short)
		if err != nil {
			return nil, err
		}
		if known {
			found = append(found, c)
		}
	}
	return found, nil
}

// isCalled says whether a container has one of two names on a network: its own name, or one that
// its endpoint there has.
func (r *Resolver) isCalled(ctx context.Context, c container.Summary, network, name, short string) (bool, error) {
	is := func(other string) bool { return strings.EqualFold(other, name) || strings.EqualFold(other, short) }
	if is(summaryName(c)) {
		return true, nil
	}
	response, err := facts.InspectContainer(ctx, r.Reader, c.ID)
	if err != nil {
		return false, context.Cause(ctx) // it is gone by now
	}
	if response.NetworkSettings == nil {
		return false, nil
	}
	endpoint := response.NetworkSettings.Networks[network]
	return endpoint != nil && (slices.ContainsFunc(endpoint.Aliases, is) || slices.ContainsFunc(endpoint.DNSNames, is)), nil
}
