package candidates

import (
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Omission is a kind of address that is not tried.
type Omission struct {
	Kind   report.Kind
	Reason string
}

// serverKinds are the kinds of addresses of a server in a container.
var serverKinds = []report.Kind{
	report.KindOwnLocalhost, report.KindContainerName, report.KindContainerIP, report.KindPublishedLocalhost, report.KindPublishedAny,
	report.KindPublishedGateway, report.KindPublishedHostAlias, report.KindPublishedEngineHost,
}

// LeftOut returns the kinds of addresses of which a list has none, and why.
func LeftOut(f facts.Addresses, inContainer bool, listed []Candidate) []Omission {
	var all []Omission
	for _, kind := range serverKinds {
		if !slices.ContainsFunc(listed, func(c Candidate) bool { return c.Kind == kind }) {
			all = append(all, Omission{kind, whyNone(f, inContainer, kind)})
		}
	}
	return all
}

func whyNone(f facts.Addresses, inContainer bool, kind report.Kind) string {
	switch kind {
	case report.KindOwnLocalhost:
		return "the probes do not come from the server's network namespace"
	case report.KindContainerName:
		return whyNoName(f, inContainer)
	case report.KindContainerIP:
		if f.HostNetwork {
			return "the server shares the network of the engine's host"
		}
		return "the server has no address on a network"
	default:
		return whyNotPublished(f, inContainer, kind)
	}
}

func whyNoName(f facts.Addresses, inContainer bool) string {
	switch {
	case !inContainer:
		return "only containers know the names of containers"
	case f.HostNetwork:
		return "the server shares the network of the engine's host, where it has no name"
	default:
		return "no name of the server is known there"
	}
}

func whyNotPublished(f facts.Addresses, inContainer bool, kind report.Kind) string {
	switch {
	case f.HostNetwork && kind == report.KindPublishedGateway && !inContainer:
		return "the server shares the network of the engine's host"
	case !f.HostNetwork && len(f.Bindings) == 0:
		return "the port is not published"
	case kind == report.KindPublishedGateway:
		return "no network has a gateway of an address family that is published"
	case kind == report.KindPublishedEngineHost:
		return "no address of the engine's host is known, or it is published only on loopback"
	default:
		return "the port is not published on loopback"
	}
}
