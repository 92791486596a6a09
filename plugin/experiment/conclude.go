package experiment

import (
	"cmp"
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Kinds ranked by what lasts, not by speed. On the host a published port
// survives the container, its IP address does not.
var lastingOnHost = []report.Kind{
	report.KindPublishedLocalhost,
	report.KindPublishedHostAlias,
	report.KindPublishedEngineHost,
	report.KindPublishedGateway,
	report.KindContainerIP,
	report.KindPublishedAny,
}

// In a container a name on a shared network survives the server and the engine.
var lastingInContainer = []report.Kind{
	report.KindContainerName,
	report.KindContainerIP,
	report.KindPublishedGateway,
	report.KindPublishedHostAlias,
	report.KindPublishedEngineHost,
	report.KindPublishedLocalhost,
	report.KindPublishedAny,
}

func (v Vantage) KindRanking() []report.Kind {
	if v.Container == "" {
		return lastingOnHost
	}
	return lastingInContainer
}

// conclude fills in the best address of each server from each vantage, and whether
// all is well: whether each server is reached from where it is to be.
func (r *run) conclude() {
	for _, v := range r.vantages() {
		probes := from(v.Name, r.report.Probes)
		reached := 0
		for i := range r.servers {
			if best, ok := PickBest(i, probes, v.KindRanking(), r.spec.Path); ok {
				r.report.Best = append(r.report.Best, best)
				reached++
			}
		}
		if v.Name == r.view.vantage.Name {
			r.report.OK = reached == len(r.servers)
		}
	}
}

// from are the probes from one vantage.
func from(vantage string, probes []report.Probe) []report.Probe {
	return slices.DeleteFunc(slices.Clone(probes), func(p report.Probe) bool { return p.Vantage != vantage })
}

// best picks the address of one server that is most worth writing down.
// Candidates stand in the order in which they are preferred within a kind. Its
// URL is the base to which paths like the one that was asked for are added.
func PickBest(server int, probes []report.Probe, lasting []report.Kind, path string) (report.Best, bool) {
	var good []report.Probe
	for _, p := range probes {
		if p.Server == server && p.OK {
			good = append(good, p)
		}
	}
	if len(good) == 0 {
		return report.Best{}, false
	}
	p := slices.MinFunc(good, func(a, b report.Probe) int {
		return cmp.Compare(slices.Index(lasting, a.Kind), slices.Index(lasting, b.Kind))
	})
	return report.Best{Vantage: p.Vantage, Server: server, Kind: p.Kind, URL: strings.TrimSuffix(p.URL, path)}, true
}

// bestFrom picks the best address of each server from one vantage, whose kinds of
// addresses last equally long.
func PickBestFrom(vantage string, probes []report.Probe, spec Spec) []report.Best {
	probes = from(vantage, probes)
	var all []report.Best
	for i := range spec.Servers {
		if best, ok := PickBest(i, probes, nil, spec.Path); ok {
			all = append(all, best)
		}
	}
	return all
}
