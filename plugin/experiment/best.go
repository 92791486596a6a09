package experiment

import (
	"cmp"
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// hostKindRanking ranks kinds by how long an address stays valid, not by speed. On the
// host a published port can outlive the container; the container's IP address does not.
var hostKindRanking = []report.Kind{
	report.KindPublishedLocalhost,
	report.KindPublishedHostAlias,
	report.KindPublishedEngineHost,
	report.KindPublishedGateway,
	report.KindContainerIP,
	report.KindPublishedAny,
}

// containerKindRanking is that for a container, where a name on a shared network stays
// valid when the server is created again and when the engine restarts.
var containerKindRanking = []report.Kind{
	report.KindContainerName,
	report.KindOwnLocalhost,
	report.KindContainerIP,
	report.KindPublishedGateway,
	report.KindPublishedHostAlias,
	report.KindPublishedEngineHost,
	report.KindPublishedLocalhost,
	report.KindPublishedAny,
}

// foreignKindRanking is that for a container of another engine: only the endpoint's host is
// known to be that of the servers' engine.
var foreignKindRanking = []report.Kind{
	report.KindPublishedEngineHost,
	report.KindPublishedHostAlias,
	report.KindPublishedGateway,
	report.KindContainerIP,
	report.KindPublishedAny,
	report.KindPublishedLocalhost,
}

// KindRanking returns the kinds of addresses that are tried from the vantage, the one
// that stays valid longest first. For an engine on another host, localhost comes last: it
// works only as long as a tunnel does.
func (v Vantage) KindRanking(engineHost string) []report.Kind {
	switch {
	case v.Foreign:
		return foreignKindRanking
	case v.Container != "":
		return containerKindRanking
	case engineHost != "":
		return append(slices.Clone(hostKindRanking[1:]), report.KindPublishedLocalhost)
	default:
		return hostKindRanking
	}
}

// pickBestAddresses fills in the best address of each server from each vantage, and the
// Report's OK: whether each server is reached from the run's own vantage.
func (r *run) pickBestAddresses() {
	for _, v := range r.vantages() {
		best := pickBestOfEach(probesFrom(v.Name, r.report.Probes), v.KindRanking(r.engine.Host), r.request)
		r.report.Best = append(r.report.Best, best...)
		if v.Name == r.vantage.Name {
			r.report.OK = len(best) == r.request.Servers
		}
	}
}

// probesFrom returns the probes from one vantage.
func probesFrom(vantage string, probes []report.Probe) []report.Probe {
	return slices.DeleteFunc(slices.Clone(probes), func(p report.Probe) bool { return p.Vantage != vantage })
}

// PickBest picks the best of the addresses that reach one server, by the ranking of
// their kinds; within a kind the first one. If it is known of some that the server itself
// has answered there, it picks one of those. The URL of the result is the base URL, to
// which paths are added. It is false if no address reaches the server.
func PickBest(server int, probes []report.Probe, ranking []report.Kind, path string) (report.Best, bool) {
	var good []report.Probe
	for _, p := range probes {
		if p.Server == server && p.OK {
			good = append(good, p)
		}
	}
	if len(good) == 0 {
		return report.Best{}, false
	}
	proven := slices.DeleteFunc(slices.Clone(good), func(p report.Probe) bool { return p.Identity == netprobe.IdentityUnverified })
	if len(proven) > 0 {
		good = proven
	}
	p := slices.MinFunc(good, func(a, b report.Probe) int {
		return cmp.Compare(slices.Index(ranking, a.Kind), slices.Index(ranking, b.Kind))
	})
	return report.Best{Vantage: p.Vantage, Server: server, Kind: p.Kind, URL: strings.TrimSuffix(p.URL, path)}, true
}

// PickBestFrom picks the best address of each server from one vantage, whose kinds of
// addresses stay valid equally long.
func PickBestFrom(vantage string, probes []report.Probe, request Request) []report.Best {
	return pickBestOfEach(probesFrom(vantage, probes), nil, request)
}

// pickBestOfEach picks the best address of each server from the vantage of the probes.
func pickBestOfEach(probes []report.Probe, ranking []report.Kind, request Request) []report.Best {
	var all []report.Best
	for i := range request.Servers {
		if best, ok := PickBest(i, probes, ranking, request.Target.Path); ok {
			all = append(all, best)
		}
	}
	return all
}
