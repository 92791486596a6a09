package enginetest

import (
	"testing"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/internal/keep"
)

// StartSwarm starts engines for one test that are the nodes of one Swarm, on a shared
// network: the first is the manager, the others are workers. They are taken down at
// the end of the test.
func StartSwarm(tb testing.TB, nodes int) []*Engine {
	tb.Helper()
	skipIfShort(tb)
	conn, err := keep.Attach(tb.Context())
	if err != nil {
		tb.Fatal(explainAttach(err))
	}
	tb.Cleanup(func() { _ = conn.Close() })
	reply, err := conn.Do(tb.Context(), keep.Request{Op: keep.OpSwarm, Nodes: nodes})
	if err != nil {
		failOrSkip(tb, err)
	}
	engines := make([]*Engine, len(reply.Engines))
	for i, e := range reply.Engines {
		engines[i] = newEngine(e)
		engines[i].conn = conn
	}
	return engines
}

// Cut has one node of a Swarm drop all packets from and to another one, before any
// rule of Docker's. More arguments of iptables select some of them, such as
// "-p udp --dport 4789" for only overlay networks. The function that it returns
// restores the link; so does the end of the test, with the node.
func (e *Engine) Cut(tb testing.TB, other *Engine, match ...string) (restore func()) {
	tb.Helper()
	rules := [][]string{
		append([]string{"raw", "PREROUTING", "--source", other.Address}, match...),
		append([]string{"mangle", "POSTROUTING", "--destination", other.Address}, match...),
	}
	change := func(action string) {
		for _, rule := range rules {
			args := append([]string{"--wait", "--table", rule[0], action, rule[1]}, rule[2:]...)
			if out, err := e.Command(tb.Context(), "iptables", append(args, "--jump", "DROP")...).CombinedOutput(); err != nil {
				tb.Fatalf("cutting two nodes off from each other: %v\n%s", err, out)
			}
		}
	}
	change("--insert")
	return func() { change("--delete") }
}
