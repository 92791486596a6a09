package render

import (
	"fmt"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/render/layout"
)

// swarmOf is a Swarm whose nodes reach each other by the kinds of addresses that ok allows.
func swarmOf(nodes int, ok func(from, to int, kind report.Kind) bool) *report.Report {
	r := report.New("run")
	for i := range nodes {
		name := fmt.Sprintf("node-%d", i+1)
		r.Nodes = append(r.Nodes, report.Node{Name: name, State: "ready", Manager: i == 0})
		r.Servers = append(r.Servers, report.Server{Node: name, Published: []report.PortBinding{{HostIP: "10.231.1.2", HostPort: 20001}}})
	}
	for from := range nodes {
		for to := range nodes {
			for _, k := range nodeKinds {
				result := slow
				if ok(from, to, k.kind) {
					result = good
				}
				result.Vantage = "node:" + r.Nodes[from].Name
				r.Probes = append(r.Probes, probe(to, k.kind, fmt.Sprintf("10.231.1.%d:%s", to, k.word), result))
			}
		}
	}
	r.Best = []report.Best{{Vantage: "node:node-1", Kind: "published-engine-host", URL: "http://10.231.1.0:port"}}
	return r
}

func reachesAll(int, int, report.Kind) bool { return true }

// oneLinkBroken breaks the link between the second and the third node, except for the
// published port in one direction.
func oneLinkBroken(from, to int, kind report.Kind) bool {
	return from+to != 3 || from == 0 || to == 0 || from == 1 && kind == report.KindPublishedEngineHost
}

func withFinding(r *report.Report) *report.Report {
	r.Findings = []report.Finding{{Cause: "firewall-drops", Severity: report.SeverityError, Title: "A firewall drops packets between these nodes", Evidence: []string{"nodes node-2 and node-3 cannot reach each other"}, Hint: "allow udp 4789"}}
	return r
}

// oneDown is a Swarm with a node that is down, and one that lacks the image.
func oneDown() *report.Report {
	r := swarmOf(4, reachesAll)
	r.Nodes[2].State = "down"
	var probes []report.Probe
	for _, p := range r.Probes {
		switch {
		case p.Vantage == "node:node-3" || p.Vantage == "node:node-4" || p.Server == 3:
		case p.Server == 2 && p.Kind != report.KindPublishedEngineHost:
		case p.Server == 2:
			result := slow
			result.Vantage = p.Vantage
			probes = append(probes, probe(2, p.Kind, p.Address, result))
		default:
			probes = append(probes, p)
		}
	}
	r.Probes = probes
	return r
}

func TestNodes(t *testing.T) {
	for name, rep := range map[string]*report.Report{
		"nodes":          swarmOf(3, reachesAll),
		"nodes-cut":      withFinding(swarmOf(3, oneLinkBroken)),
		"nodes-down":     oneDown(),
		"nodes-many":     swarmOf(20, reachesAll),
		"nodes-many-cut": withFinding(swarmOf(20, oneLinkBroken)),
	} {
		t.Run(name, func(t *testing.T) {
			out := renderWith(t, Options{}, rep)
			golden.Assert(t, out, name+".golden")
			for line := range strings.Lines(out) {
				assert.Check(t, len([]rune(line)) <= layout.MaxWidth+1, "%s", line)
			}
		})
	}
}
