package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// foldedRow is one row of a table: probes of one kind that failed alike. It has at least
// one.
type foldedRow []*report.Probe

// fold puts probes of one kind that failed alike into one row, at the place of the first.
func fold(rep *report.Report, probes []*report.Probe) []foldedRow {
	var rows []foldedRow
	for _, p := range probes {
		i := slices.IndexFunc(rows, func(row foldedRow) bool { return failedAlike(rep, row[0], p) })
		if i < 0 {
			rows = append(rows, foldedRow{p})
			continue
		}
		rows[i] = append(rows[i], p)
	}
	return rows
}

func failedAlike(rep *report.Report, a, b *report.Probe) bool {
	if a.OK || b.OK || a.Kind != b.Kind {
		return false
	}
	if cannotWork(rep, a) || cannotWork(rep, b) {
		return cannotWork(rep, a) && cannotWork(rep, b)
	}
	return failureWords(*a) == failureWords(*b)
}

// addresses is the address of the row, or how many it has.
func (r foldedRow) addresses() string {
	if len(r) == 1 {
		return r[0].Address
	}
	return fmt.Sprintf("%d %s", len(r), kindWords[r[0].Kind])
}

// kindWords are several addresses of a kind.
var kindWords = map[report.Kind]string{
	report.KindContainerIP:         "addresses",
	report.KindContainerName:       "names",
	report.KindOwnLocalhost:        "addresses",
	report.KindPublishedAny:        "addresses",
	report.KindPublishedLocalhost:  "addresses",
	report.KindPublishedGateway:    "gateways",
	report.KindPublishedHostAlias:  "host aliases",
	report.KindPublishedEngineHost: "addresses",
	report.KindDindHost:            "addresses",
	report.KindRelay:               "addresses",
	report.KindHostGateway:         "gateways",
	report.KindHostAlias:           "host aliases",
	report.KindHostAddress:         "addresses",
}

// cannotWork says whether an address fails because it cannot work from where it was tried: a
// container's own localhost, or a name that the engine does not give its host.
func cannotWork(rep *report.Report, p *report.Probe) bool {
	switch p.Kind {
	case report.KindPublishedLocalhost, report.KindPublishedAny:
		return !p.OK && isApartFromHost(rep, p.Vantage)
	case report.KindPublishedHostAlias, report.KindHostAlias:
		return p.Failure == netprobe.NameNotFound || p.Failure == netprobe.NameTimeout
	default:
		return false
	}
}

// isApartFromHost says whether a vantage has a loopback of its own.
func isApartFromHost(rep *report.Report, vantage string) bool {
	for _, place := range rep.Target.Places {
		if place.Vantage == vantage {
			return !place.OnHost
		}
	}
	return vantage != report.VantageHost && !strings.HasPrefix(vantage, vantageNode) && vantage != vantageDind
}

// The vantages of a node of a Swarm, and of a nested engine, which are hosts.
const (
	vantageNode = "node:"
	vantageDind = "dind"
)

// addOnce appends a value that the list does not have yet.
func addOnce[T comparable](list []T, value T) []T {
	if slices.Contains(list, value) {
		return list
	}
	return append(list, value)
}
