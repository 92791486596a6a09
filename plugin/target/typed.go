package target

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/experiment/candidates"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/target/meaning"
)

// What the user has typed is an address too, and the one that must work: that another one works
// does not answer whether this one does.

// typedAt returns the typed address at a place; empty if the user does not mean the place, or
// if it is no address there, such as the name of a container where names are not known.
func (r *run) typedAt(p *place) string {
	if !p.named {
		return ""
	}
	if r.typed.Address != "" {
		if r.isHostAlias() && !p.vantage.InContainer() {
			return "" // a name that containers have
		}
		return net.JoinHostPort(r.typed.Address, strconv.Itoa(int(r.typed.Port)))
	}
	name := net.JoinHostPort(r.typed.Container, strconv.Itoa(int(cmp.Or(r.typed.Port, r.known.Server.Port))))
	if r.typed.isExact() && p.vantage.InContainer() && p.network == "" {
		return name // what a client there would connect to
	}
	shared := p.found.Vantage(p.vantage.Name).SharedNetworks(r.known.Server)
	hasNames := slices.ContainsFunc(shared, func(n facts.Network) bool { return !n.Default })
	if r.known.Server.HostNetwork || !p.vantage.InContainer() || !r.meant.ByClient && (!hasNames || !slices.Contains(r.names(), r.typed.Container)) {
		return ""
	}
	return name
}

// isHostAlias says whether the user has typed a name that an engine gives to its host.
func (r *run) isHostAlias() bool {
	return slices.Contains(candidates.HostAliases, strings.ToLower(r.typed.Address))
}

// withTyped adds the typed address to those that are tried from a place.
func (r *run) withTyped(p *place, toTry []candidates.Candidate) []candidates.Candidate {
	if p.typed == "" || slices.ContainsFunc(toTry, func(c candidates.Candidate) bool { return c.Address == p.typed }) {
		return toTry
	}
	return append(toTry, candidates.Candidate{Kind: r.typedKind(p), Address: p.typed, Reason: "the address that was typed"})
}

// typedKind returns the kind of a typed address that is none of the others.
func (r *run) typedKind(p *place) report.Kind {
	ip, _ := netip.ParseAddr(r.typed.Address)
	local := ip.IsLoopback() || meaning.IsLocalhost(r.typed.Address)
	switch {
	case r.typed.Address == "":
		return report.KindContainerName
	case r.known.Server.Host && r.isHostAlias():
		return report.KindHostAlias
	case r.known.Server.Host:
		return report.KindHostAddress
	case local && r.isInside(p) && r.typed.Port == r.known.Server.Port:
		return report.KindOwnLocalhost
	case local:
		return report.KindPublishedLocalhost
	case ip.IsUnspecified():
		return report.KindPublishedAny
	case r.isHostAlias():
		return report.KindPublishedHostAlias
	case slices.ContainsFunc(r.found.Networks, func(n facts.Network) bool { return n.Has(ip) }):
		return report.KindContainerIP
	default:
		return report.KindPublishedEngineHost
	}
}

// preferred returns the probe of the typed address if that works, else all probes. Of the names
// of a container, another one may stay valid longer.
func (r *run) preferred(p *place) []report.Probe {
	if r.typed.Address == "" && !p.exact {
		return p.probes
	}
	works := func(probe report.Probe) bool { return probe.OK && probe.Address == p.typed }
	if i := slices.IndexFunc(p.probes, works); i >= 0 {
		return p.probes[i : i+1]
	}
	return p.probes
}
