//go:build linux

package plugin_test

import (
	"context"
	"net"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// Words of scripts that change the network namespace of an engine and its clients.
// Other tests on the engine would see the change, so the words need a private engine,
// and the change ends with it.

// addRule puts a rule of iptables before all others: `rule INPUT -p tcp …`.
func addRule(ts *testscript.TestScript, _ bool, rule []string) {
	changeNetwork(ts, append([]string{"iptables", "--wait", "--insert"}, rule...)...)
}

// addRoute adds a route: `route 192.0.2.1/32 dev vpn0`.
func addRoute(ts *testscript.TestScript, _ bool, route []string) {
	changeNetwork(ts, append([]string{"ip", "route", "add"}, route...)...)
}

// addLink makes an interface that is up and leads nowhere: `link NAME`. It is one end
// of a pair, since not every kernel has dummy interfaces.
func addLink(ts *testscript.TestScript, _ bool, args []string) {
	name := args[0]
	peer := name + "p"
	changeNetwork(ts, "ip", "link", "add", name, "up", "type", "veth", "peer", "name", peer)
	changeNetwork(ts, "ip", "link", "set", peer, "up")
}

// changeNetwork runs a command that changes the namespace of a private engine's
// clients.
func changeNetwork(ts *testscript.TestScript, command ...string) {
	s := scriptOf(ts)
	if !s.private || s.engine.Netns == "" {
		ts.Fatalf("%v would change the network of other tests: put `private` before it, on a kind with its own namespace", command)
	}
	ts.Check(execute(ts, command))
}

// startServer starts a server where the engine's clients are, and returns when it
// answers: `server ADDRESS`.
func startServer(ts *testscript.TestScript, _ bool, args []string) {
	s, address := scriptOf(ts), args[0]
	program := enginetest.TestProgram(s)
	server := s.engine.Command(context.Background(), program, "--listen", address)
	ts.Check(server.Start())
	ts.Defer(func() {
		_ = server.Process.Kill()
		_ = server.Wait() // it was killed
	})
	host, port, err := net.SplitHostPort(address)
	ts.Check(err)
	if host == "0.0.0.0" {
		host = "127.0.0.1"
	}
	get := s.engine.Command(s.Context(), program, "--get", "http://"+net.JoinHostPort(host, port), "--get-until", "200 ok", "--get-timeout", "20s")
	ts.Check(get.Run())
}
