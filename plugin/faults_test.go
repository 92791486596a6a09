//go:build linux

package plugin_test

import (
	"context"
	"net"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// Faults that scripts make in the network namespace of an engine and its clients.
// Each is undone when its script ends, however that goes: the engine is shared, so
// a fault must be one for the script's own containers and ports alone.

// addRule puts a rule of iptables before all others: `rule INPUT -p tcp …`.
func addRule(ts *testscript.TestScript, engine *enginetest.Engine, rule []string) {
	inNamespace(ts, engine, append([]string{"iptables", "--wait", "--insert"}, rule...)...)
	ts.Defer(func() { inNamespace(ts, engine, append([]string{"iptables", "--wait", "--delete"}, rule...)...) })
}

// addRoute adds a route: `route 192.0.2.1/32 dev vpn0`. It goes with its interface,
// if that is the first to go.
func addRoute(ts *testscript.TestScript, engine *enginetest.Engine, route []string) {
	inNamespace(ts, engine, append([]string{"ip", "route", "add"}, route...)...)
	ts.Defer(func() {
		_ = engine.Command(context.Background(), "ip", append([]string{"route", "delete"}, route...)...).Run()
	})
}

// addLink makes an interface that is up and leads nowhere. It is a pair, since not
// every kernel has dummy interfaces.
func addLink(ts *testscript.TestScript, engine *enginetest.Engine, name string) {
	peer := name + "p"
	inNamespace(ts, engine, "ip", "link", "add", name, "up", "type", "veth", "peer", "name", peer)
	ts.Defer(func() { inNamespace(ts, engine, "ip", "link", "delete", name) })
	inNamespace(ts, engine, "ip", "link", "set", peer, "up")
}

// inNamespace runs a command that changes the namespace of an engine's clients,
// which must not be the machine's own.
func inNamespace(ts *testscript.TestScript, engine *enginetest.Engine, command ...string) {
	if engine.Netns == "" {
		ts.Fatalf("the clients of the %s engine have no network namespace of their own to change", engine.Kind)
	}
	// Not the script's context, which has ended when this is undone.
	if out, err := engine.Command(context.Background(), command[0], command[1:]...).CombinedOutput(); err != nil {
		ts.Fatalf("%v: %v\n%s", command, err, out)
	}
}

// startServer starts a server of the test's where the engine's clients are, and
// returns when it answers.
func startServer(ts *testscript.TestScript, engine *enginetest.Engine, address string) {
	t := ts.Value(testKey{}).(testing.TB)
	program := enginetest.TestProgram(t)
	server := engine.Command(context.Background(), program, "--listen", address)
	ts.Check(server.Start())
	ts.Defer(func() {
		_ = server.Process.Kill()
		_ = server.Wait() // it was killed
	})
	_, port, err := net.SplitHostPort(address)
	ts.Check(err)
	ask := engine.Command(t.Context(), program, "--get", "http://"+net.JoinHostPort("127.0.0.1", port), "--get-until", "200 ok", "--get-timeout", "20s")
	ts.Check(ask.Run())
}
