//go:build linux

package plugin_test

import (
	"context"
	"net"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// Faults that scripts make in the network namespace of an engine and its clients.
// They go with it: a fault would be seen by whatever else asks there, so it needs a
// private engine.

// addRule puts a rule of iptables before all others: `rule INPUT -p tcp …`.
func addRule(ts *testscript.TestScript, rule []string) {
	change(ts, append([]string{"iptables", "--wait", "--insert"}, rule...)...)
}

// addRoute adds a route: `route 192.0.2.1/32 dev vpn0`.
func addRoute(ts *testscript.TestScript, route []string) {
	change(ts, append([]string{"ip", "route", "add"}, route...)...)
}

// addLink makes an interface that is up and leads nowhere. It is a pair, since not
// every kernel has dummy interfaces.
func addLink(ts *testscript.TestScript, name string) {
	peer := name + "p"
	change(ts, "ip", "link", "add", name, "up", "type", "veth", "peer", "name", peer)
	change(ts, "ip", "link", "set", peer, "up")
}

// change runs a command that changes the namespace of a private engine's clients.
func change(ts *testscript.TestScript, command ...string) {
	s := scriptOf(ts)
	if !s.private || s.engine.Netns == "" {
		ts.Fatalf("%v changes the network of others too: say `private` before, on a kind with a namespace of its own", command)
	}
	ts.Check(execute(ts, command))
}

// startServer starts a server of the test's where the engine's clients are, and
// returns when it answers.
func startServer(ts *testscript.TestScript, address string) {
	s := scriptOf(ts)
	program := enginetest.TestProgram(s)
	server := s.engine.Command(context.Background(), program, "--listen", address)
	ts.Check(server.Start())
	ts.Defer(func() {
		_ = server.Process.Kill()
		_ = server.Wait() // it was killed
	})
	_, port, err := net.SplitHostPort(address)
	ts.Check(err)
	ask := s.engine.Command(s.Context(), program, "--get", "http://"+net.JoinHostPort("127.0.0.1", port), "--get-until", "200 ok", "--get-timeout", "20s")
	ts.Check(ask.Run())
}
