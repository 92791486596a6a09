// Package ranking picks the address to use among those that reach a server, by how long
// each stays valid. It must not know how the addresses were found.
package ranking

import (
	"cmp"
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// onHost ranks kinds by how long an address stays valid, not by speed. On the
// host a published port can outlive the container; the container's IP address does not.
var onHost = []report.Kind{
	report.KindPublishedLocalhost,
	report.KindPublishedHostAlias,
	report.KindPublishedEngineHost,
	report.KindPublishedGateway,
	report.KindContainerIP,
	report.KindPublishedAny,
}

// inContainer is that for a container, where a name on a shared network stays
// valid when the server is created again and when the engine restarts.
var inContainer = []report.Kind{
	report.KindContainerName,
	report.KindOwnLocalhost,
	report.KindContainerIP,
	report.KindPublishedGateway,
	report.KindPublishedHostAlias,
	report.KindPublishedEngineHost,
	report.KindPublishedLocalhost,
	report.KindPublishedAny,
}

// inForeignContainer is that for a container of another engine: only the endpoint's host is
// known to be that of the servers' engine.
var inForeignContainer = []report.Kind{
	report.KindPublishedEngineHost,
	report.KindPublishedHostAlias,
	report.KindPublishedGateway,
	report.KindContainerIP,
	report.KindPublishedAny,
	report.KindPublishedLocalhost,
}

// OnHost returns the kinds of addresses that are tried from a host, the one that stays valid
// longest first. For an engine on another host, localhost comes last: it works only as long
// as a tunnel does.
func OnHost(engineHost string) []report.Kind {
	if engineHost != "" {
		return append(slices.Clone(onHost[1:]), report.KindPublishedLocalhost)
	}
	return onHost
}

// InContainer is OnHost for a container, which may be one of another engine.
func InContainer(foreign bool) []report.Kind {
	if foreign {
		return inForeignContainer
	}
	return inContainer
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

// PickBestOfEach picks the best address of each of some servers from the vantage of the
// probes.
func PickBestOfEach(servers int, probes []report.Probe, ranking []report.Kind, path string) []report.Best {
	byServer := map[int][]report.Probe{}
	for _, p := range probes {
		byServer[p.Server] = append(byServer[p.Server], p)
	}
	var all []report.Best
	for i := range servers {
		if best, ok := PickBest(i, byServer[i], ranking, path); ok {
			all = append(all, best)
		}
	}
	return all
}
