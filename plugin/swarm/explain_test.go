package swarm

import (
	"fmt"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// swarmCase is a Swarm of three nodes, a, b and c, with what fails between
// them: "ab" is from a to b.
type swarmCase struct {
	nodes  map[string]func(*nodeFacts)            // what is unlike a node that takes part
	fails  map[string]map[string]netprobe.Failure // by link, then by name, ip, port or gossip
	title  string
	causes map[string]report.Severity // of the findings; "" where it is open
	says   []string                   // in the evidence and hint
	silent []string                   // not in them
}

func row(kind report.Kind, address string, failure netprobe.Failure) report.Probe {
	return report.Probe{Kind: kind, Address: address, OK: failure == "", Failure: failure, Detail: string(failure)}
}

var kindOf = map[string]report.Kind{
	"name": report.KindContainerName,
	"ip":   report.KindContainerIP,
	"port": report.KindPublishedEngineHost,
}

// measured is what was seen. A node that is silent has no rows; one that has no
// server has that of its port if it is down, else none.
func (c swarmCase) measured() (swarmFacts, []report.Probe) {
	nodes := swarmFacts{Port: 20001}
	for i, name := range []string{"a", "b", "c"} {
		n := nodeFacts{
			Name: name, Vantage: "node:" + name, Address: fmt.Sprintf("192.0.2.%d", i+1),
			Active: true, State: "ready", Image: "agent:1", Gossip: map[string]gossip{},
		}
		if change := c.nodes[name]; change != nil {
			change(&n)
		}
		nodes.Nodes = append(nodes.Nodes, n)
	}
	var rows []report.Probe
	for _, from := range nodes.Nodes {
		for to, n := range nodes.Nodes {
			fails := c.fails[from.Name+n.Name]
			if from.HelperError != "" {
				continue
			}
			n.Gossip[from.Vantage] = gossip{Failure: fails["gossip"], Detail: string(fails["gossip"])}
			for _, kind := range []string{"name", "ip", "port"} {
				if n.ServerError != "" && (kind != "port" || n.State != "down") {
					continue
				}
				r := row(kindOf[kind], n.Name+"-"+kind+":1", fails[kind])
				r.Vantage, r.Server = from.Vantage, to
				rows = append(rows, r)
			}
		}
	}
	return nodes, rows
}

const timeout = netprobe.ConnectTimeout

func all(f netprobe.Failure) map[string]netprobe.Failure {
	return map[string]netprobe.Failure{"name": f, "ip": f, "port": f, "gossip": f}
}

// noOverlay is what fails where the packets of overlay networks are dropped.
func noOverlay() map[string]netprobe.Failure {
	return map[string]netprobe.Failure{"name": timeout, "ip": timeout}
}

func isDown(n *nodeFacts) {
	n.State, n.ServerError, n.HelperError = "down", "it is down", "it is down"
}

func downAndAnswers(n *nodeFacts) { isDown(n); n.Context = "there" }

func lacksImage(n *nodeFacts) {
	n.ServerError, n.HelperError, n.ImageMissing = "No such image", "No such image", true
}

var swarmCases = map[string]swarmCase{
	"all is well": {},
	"a pair is cut": {
		fails:  map[string]map[string]netprobe.Failure{"bc": all(timeout), "cb": all(timeout)},
		causes: map[string]report.Severity{"firewall-drops": report.SeverityError},
		says: []string{
			"node b is cut off from c: udp 4789 (overlay networks), tcp and udp 7946 (gossip of the engines) and tcp 20001 (a published port)",
			"the server on c is reached from a and c",
			"from node:b: c-ip:1 (container-ip): connect-timeout",
			"pass between b (192.0.2.2) and c (192.0.2.3)",
		},
		silent: []string{"192.0.2.1", "c-name", "2377", "every other node"},
	},
	"the overlay between a pair": {
		fails:  map[string]map[string]netprobe.Failure{"bc": noOverlay(), "cb": noOverlay()},
		causes: map[string]report.Severity{"firewall-drops": report.SeverityWarning},
		says:   []string{"between node b and c packets are dropped: udp 4789 (overlay networks)"},
		silent: []string{"7946", "20001"},
	},
	"the overlay everywhere": { // each node reaches its own server
		fails: map[string]map[string]netprobe.Failure{
			"ab": noOverlay(), "ac": noOverlay(), "ba": noOverlay(),
			"bc": noOverlay(), "ca": noOverlay(), "cb": noOverlay(),
		},
		causes: map[string]report.Severity{"firewall-drops": report.SeverityWarning},
		says:   []string{"between node a and every other node packets are dropped: udp 4789"},
	},
	"one direction": {
		fails:  map[string]map[string]netprobe.Failure{"bc": {"port": timeout}},
		causes: map[string]report.Severity{"firewall-drops": report.SeverityWarning},
		says:   []string{"tcp 20001 (a published port)"},
		silent: []string{"4789"},
	},
	"names do not come through": {
		fails:  map[string]map[string]netprobe.Failure{"bc": {"name": netprobe.NameNotFound, "gossip": timeout}},
		causes: map[string]report.Severity{"firewall-drops": report.SeverityWarning},
		says:   []string{"tcp and udp 7946", "c-name:1 (container-name): name-not-found"},
		silent: []string{"4789"},
	},
	"only the name": { // the gossip passes, so that is not it
		fails:  map[string]map[string]netprobe.Failure{"bc": {"name": netprobe.NameNotFound}},
		causes: map[string]report.Severity{"": report.SeverityWarning},
		title:  "Some probes between nodes fail, and what was measured does not decide why",
	},
	"refused everywhere": { // not even its own node reaches it, so it may be the server
		fails:  map[string]map[string]netprobe.Failure{"ac": all(netprobe.Refused), "bc": all(netprobe.Refused), "cc": all(netprobe.Refused)},
		causes: map[string]report.Severity{"": report.SeverityError},
	},
	"down": {
		nodes:  map[string]func(*nodeFacts){"c": isDown},
		fails:  map[string]map[string]netprobe.Failure{"ac": all(timeout), "bc": all(timeout)},
		causes: map[string]report.Severity{"": report.SeverityError},
		title:  "Not every node takes part, and what was measured does not decide why",
		says:   []string{"node c (192.0.2.3) takes no part: it is down", "from node:a: its engine's port 7946: connect-timeout"},
	},
	"down, and it answers its user": {
		nodes:  map[string]func(*nodeFacts){"c": downAndAnswers},
		fails:  map[string]map[string]netprobe.Failure{"ac": all(timeout), "bc": all(timeout)},
		causes: map[string]report.Severity{"firewall-drops": report.SeverityError},
		says: []string{
			"node c is cut off from every other node", "tcp 2377 (to the managers)",
			"node c is down to the manager, and its engine answers by context there",
		},
		silent: []string{"4789"}, // there was no server on the overlay to probe
	},
	"down, and its machine refuses": { // so it runs, without an engine
		nodes:  map[string]func(*nodeFacts){"c": downAndAnswers},
		fails:  map[string]map[string]netprobe.Failure{"ac": all(netprobe.Refused), "bc": all(netprobe.Refused)},
		causes: map[string]report.Severity{"": report.SeverityError},
	},
	"drained": {
		nodes: map[string]func(*nodeFacts){"c": func(n *nodeFacts) {
			n.Active, n.State, n.ServerError, n.HelperError = false, "drained", "it is drained", "it is drained"
		}},
	},
	"no image": {
		nodes:  map[string]func(*nodeFacts){"c": lacksImage},
		causes: map[string]report.Severity{"image-unavailable": report.SeverityError},
		says:   []string{"node c: No such image", "docker save -o image.tar agent:1", "docker --context c load -i image.tar"},
	},
	"no image, though its context was tried": {
		nodes: map[string]func(*nodeFacts){"c": func(n *nodeFacts) {
			lacksImage(n)
			n.Context, n.NotLoaded = "there", "no space left on device"
		}},
		causes: map[string]report.Severity{"image-unavailable": report.SeverityError},
		says:   []string{"no space left on device", "docker --context there load"},
	},
	"a helper that reports nothing": {
		nodes:  map[string]func(*nodeFacts){"c": func(n *nodeFacts) { n.HelperError = "its helper has not ended within 40s" }},
		causes: map[string]report.Severity{"": report.SeverityError},
		says:   []string{"node c (192.0.2.3) takes no part: its helper has not ended within 40s"},
	},
}

func TestExplain(t *testing.T) {
	t.Parallel()
	for name, c := range swarmCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes, rows := c.measured()
			found := map[string]report.Severity{}
			var text strings.Builder
			result := explain(nodes, rows)
			for _, f := range result.Findings {
				found[string(f.Cause)] = f.Severity
				fmt.Fprintln(&text, f.Title, strings.Join(f.Evidence, "\n"), f.Hint, strings.Join(f.Commands, "\n"))
			}
			if c.causes == nil {
				c.causes = map[string]report.Severity{}
			}
			assert.Check(t, is.DeepEqual(found, c.causes), "%s", text.String())
			for _, words := range append(c.says, c.title) {
				assert.Check(t, is.Contains(text.String(), words))
			}
			for _, words := range c.silent {
				assert.Check(t, !strings.Contains(text.String(), words), "%q in %s", words, text.String())
			}
			for i, r := range result.Probes {
				assert.Check(t, rows[i].Cause == "", "a row was changed: %+v", rows[i])
				assert.Check(t, !r.OK || r.Cause == "", "a cause for a row that works: %+v", r)
			}
		})
	}
}

// A finding about many nodes stays short.
func TestExplainManyNodes(t *testing.T) {
	t.Parallel()
	const many = 40
	var nodes swarmFacts
	var rows []report.Probe
	for i := range many {
		nodes.Nodes = append(nodes.Nodes, nodeFacts{Name: fmt.Sprint("n", i), Vantage: fmt.Sprint("node:n", i), Active: true, State: "ready"})
		for to := range many {
			r := row(report.KindContainerIP, fmt.Sprint("n", to, ":1"), "")
			if to != i {
				r = row(report.KindContainerIP, fmt.Sprint("n", to, ":1"), timeout)
			}
			r.Vantage, r.Server = fmt.Sprint("node:n", i), to
			rows = append(rows, r)
		}
	}
	found := explain(nodes, rows).Findings
	assert.Assert(t, is.Len(found, 1))
	assert.Check(t, len(found[0].Evidence) <= 48, "%d lines", len(found[0].Evidence))
}
