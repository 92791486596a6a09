//go:build linux

package plugin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// swarmBench is a private Swarm, and a docker configuration with a context for each node.
type swarmBench struct {
	nodes  []*enginetest.Engine // the manager first
	config string
}

func newSwarmBench(t *testing.T) *swarmBench {
	t.Helper()
	s := &swarmBench{nodes: enginetest.StartSwarm(t, 3), config: t.TempDir()}
	assert.NilError(t, installPlugin(s.config))
	for i, node := range s.nodes {
		node.CreateContext(t, s.config, fmt.Sprintf("node-%d", i+1))
	}
	return s
}

// run is the command docker nestprobe run on a node; 0 is the manager.
func (s *swarmBench) run(t *testing.T, node int, args ...string) *exec.Cmd {
	t.Helper()
	return s.command(t.Context(), node, append([]string{"nestprobe", "run"}, args...)...)
}

func (s *swarmBench) command(ctx context.Context, node int, args ...string) *exec.Cmd {
	cmd := s.nodes[node].Command(ctx, "docker", append([]string{"--context", fmt.Sprintf("node-%d", node+1)}, args...)...)
	cmd.Env = s.nodes[node].ContextEnviron(s.config)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// runNodes runs docker nestprobe run --nodes, and returns the Report and the exit status.
func (s *swarmBench) runNodes(t *testing.T) (*report.Report, int) {
	t.Helper()
	p := start(t, s.run(t, 0, "--nodes", "--format", "json"))
	status := p.status(t)
	rep := new(report.Report)
	assert.NilError(t, json.Unmarshal([]byte(p.stdout.String()), rep), "%s%s", &p.stdout, &p.stderr)
	return rep, status
}

// reached counts at how many addresses each node reaches each, as "1>2": 3.
func reached(rep *report.Report) map[string]int {
	counts := map[string]int{}
	for _, p := range rep.Probes {
		if p.OK {
			counts[strings.TrimPrefix(p.Vantage, "node:node-")+">"+strings.TrimPrefix(rep.Servers[p.Server].Node, "node-")]++
		}
	}
	return counts
}

// everyPair is the result of reached for three nodes that reach each other, except pairs.
func everyPair(except ...string) map[string]int {
	counts := map[string]int{}
	for _, pair := range []string{"1>1", "1>2", "1>3", "2>1", "2>2", "2>3", "3>1", "3>2", "3>3"} {
		if !slices.Contains(except, pair) {
			counts[pair] = 3
		}
	}
	return counts
}

// findingOf is the finding of a cause; no other finding may be an error.
func findingOf(t *testing.T, rep *report.Report, cause report.Cause) report.Finding {
	t.Helper()
	var found report.Finding
	for _, f := range rep.Findings {
		if f.Cause == cause {
			found = f
		} else {
			assert.Check(t, f.Severity != report.SeverityError, "another error: %+v", f)
		}
	}
	assert.Check(t, is.Equal(found.Cause, cause), "%+v", rep.Findings)
	return found
}

// left lists what carries nestprobe's label, on every node.
func (s *swarmBench) left(t *testing.T) []string {
	t.Helper()
	ctx, label := context.WithoutCancel(t.Context()), filters.NewArgs(filters.Arg("label", engine.LabelRun))
	var all []string
	for i, node := range s.nodes {
		api := node.Client(t)
		containers, err := api.ContainerList(ctx, container.ListOptions{All: true, Filters: label})
		assert.NilError(t, err)
		for _, c := range containers {
			all = append(all, fmt.Sprintf("node %d: container %s, %s", i+1, c.Names[0], c.State))
		}
		networks, err := api.NetworkList(ctx, network.ListOptions{Filters: label})
		assert.NilError(t, err)
		for _, n := range networks {
			all = append(all, fmt.Sprintf("node %d: network %s", i+1, n.Name))
		}
	}
	services, err := s.nodes[0].Client(t).ServiceList(ctx, swarm.ServiceListOptions{Filters: label})
	assert.NilError(t, err)
	for _, service := range services {
		all = append(all, "service "+service.Spec.Name)
	}
	return all
}

// checkNothingLeft waits until the nodes have cleaned up after the command, which took
// them 3 s: they remove ended containers when they see that the tasks are gone.
func (s *swarmBench) checkNothingLeft(t *testing.T) {
	t.Helper()
	s.await(t, "nothing to be left", func(left string) bool { return left == "" })
}

// await waits until what is on the nodes meets a condition.
func (s *swarmBench) await(t *testing.T, what string, met func(left string) bool) {
	t.Helper()
	var left []string
	holds := func() bool { left = s.left(t); return met(strings.Join(left, "\n")) }
	if !eventuallyEvery(100*time.Millisecond, hangs, holds) {
		t.Errorf("waiting for %s: %q", what, left)
	}
}

// The links between the nodes of a Swarm, from all open to a node that is cut off. The
// steps share one Swarm, whose start takes longer than a step.
func TestSwarm(t *testing.T) { //nolint:tparallel // one Swarm, whose network each step changes
	t.Parallel()
	s := newSwarmBench(t)
	t.Run("healthy", func(t *testing.T) { s.healthy(t) })
	t.Run("table", func(t *testing.T) { s.shown(t) })
	t.Run("overlay", func(t *testing.T) { s.overlay(t) })
	t.Run("usage", func(t *testing.T) { s.usage(t) })
	t.Run("worker", func(t *testing.T) { s.worker(t) })
	t.Run("a pair is cut", func(t *testing.T) { s.pairCut(t) })
	t.Run("the overlay is cut", func(t *testing.T) { s.overlayCut(t) })
	t.Run("drained", func(t *testing.T) { s.drained(t) })
	t.Run("a node is cut off", func(t *testing.T) { s.nodeCut(t) })
}

func (s *swarmBench) healthy(t *testing.T) {
	t.Helper()
	rep, status := s.runNodes(t)
	assert.Check(t, is.Equal(status, 0))
	assert.Check(t, rep.OK)
	assert.Check(t, is.DeepEqual(reached(rep), everyPair()))
	assert.Check(t, is.Len(rep.Probes, 27))
	assert.Check(t, is.Len(rep.Best, 9))
	assert.Check(t, is.Len(rep.Findings, 0), "%+v", rep.Findings)
	for i, n := range rep.Nodes {
		assert.Check(t, is.Equal(n.Name, fmt.Sprintf("node-%d", i+1)))
		assert.Check(t, is.Equal(n.Address, s.nodes[i].Address))
		assert.Check(t, is.Equal(n.State, "ready"))
		assert.Check(t, is.Equal(n.Manager, i == 0))
		assert.Check(t, is.Equal(rep.Servers[i].Node, n.Name))
		assert.Check(t, is.Contains(rep.Servers[i].Name, n.ID))
	}
	for _, p := range rep.Probes {
		assert.Check(t, is.Equal(p.Identity, netprobe.IdentityVerified))
		assert.Check(t, is.Equal(p.WebSocket, netprobe.WebSocketOK))
	}
	assert.Check(t, is.Equal(rep.Endpoint.Engine.Product, "Docker Engine"))
	s.checkNothingLeft(t)
}

func (s *swarmBench) shown(t *testing.T) {
	t.Helper()
	out, err := s.run(t, 0, "--nodes").CombinedOutput()
	assert.NilError(t, err, "%s", out)
	assert.Check(t, is.Contains(string(out), "node-3   name ip port   name ip port   name ip port\n"))
	assert.Check(t, strings.HasSuffix(string(out), "\n200\nfoo\n"), "%s", out)
	t.Logf("\n%s", out)
	s.checkNothingLeft(t)
}

// A single server on an overlay network, on the manager, as a network mode.
func (s *swarmBench) overlay(t *testing.T) {
	t.Helper()
	p := start(t, s.run(t, 0, "--networks", "overlay", "--format", "json"))
	assert.Check(t, is.Equal(p.status(t), 0), "%s", &p.stderr)
	var rep report.Report
	assert.NilError(t, json.Unmarshal([]byte(p.stdout.String()), &rep))
	assert.Assert(t, is.Len(rep.Modes, 1))
	assert.Check(t, is.Equal(rep.Modes[0].Result, report.ModeWorks), "%+v", rep.Modes[0])
	assert.Check(t, is.Len(rep.Modes[0].From, 2)) // the host and the peer
	s.checkNothingLeft(t)
}

func (s *swarmBench) usage(t *testing.T) {
	t.Helper()
	for _, args := range [][]string{
		{"--nodes", "some/image"},
		{"--nodes", "--keep"},
		{"--nodes", "--servers", "2"},
		{"--nodes", "-p", "80"},
		{"--nodes", "--network", "bridge"},
		{"--nodes", "--network-driver", "bridge"},
		{"--nodes", "--networks", "all"},
	} {
		p := start(t, s.run(t, 0, args...))
		assert.Check(t, is.Equal(p.status(t), 125))
		assert.Check(t, is.Contains(p.stderr.String(), "--nodes"))
		assert.Check(t, is.Contains(p.stderr.String(), "cannot be used with"))
	}
}

func (s *swarmBench) worker(t *testing.T) {
	t.Helper()
	checkNoManager(t, s.run(t, 1, "--nodes", "--format", "json"), "this engine is a worker of its Swarm")
}

// checkNoManager runs a command that needs a manager and has none.
func checkNoManager(t *testing.T, cmd *exec.Cmd, words string) {
	t.Helper()
	p := start(t, cmd)
	assert.Check(t, is.Equal(p.status(t), 125))
	assert.Check(t, is.Contains(p.stderr.String(), words))
	var rep report.Report
	assert.NilError(t, json.Unmarshal([]byte(p.stdout.String()), &rep))
	assert.Check(t, !rep.OK)
	assert.Check(t, is.Contains(rep.Error, words))
}

// On an engine that is in no Swarm, the error says how to make one.
func TestNoSwarm(t *testing.T) {
	t.Parallel()
	onEach(t, []enginetest.Kind{enginetest.Toolbox, enginetest.Podman}, func(t *testing.T, b *bench) {
		checkNoManager(t, b.nestprobe(t, "run", "--nodes", "--format", "json"), "docker swarm init")
		checkNothingLeft(t, b.Engine)
	})
}

func (s *swarmBench) pairCut(t *testing.T) {
	t.Helper()
	defer s.nodes[1].Cut(t, s.nodes[2])()
	rep, status := s.runNodes(t)
	assert.Check(t, is.Equal(status, 1))
	assert.Check(t, is.DeepEqual(reached(rep), everyPair("2>3", "3>2")))
	assert.Check(t, is.Len(rep.Probes, 27), "the table is not complete")
	found := findingOf(t, rep, "firewall-drops")
	assert.Check(t, is.Equal(found.Severity, report.SeverityError))
	assert.Check(t, is.Contains(found.Evidence[0], "node node-2 is cut off from node-3"))
	for _, port := range []string{"udp 4789", "tcp and udp 7946", "a published port"} {
		assert.Check(t, is.Contains(found.Evidence[0], port))
		assert.Check(t, is.Contains(found.Hint, port))
	}
	for _, p := range rep.Probes {
		assert.Check(t, is.Equal(p.Cause == "firewall-drops", !p.OK), "%+v", p)
	}
	checkShown(t, "nodes", "docker nestprobe run --nodes", rep)
	s.checkNothingLeft(t)
}

// Only the packets of overlay networks are dropped, as where a cloud lets tcp pass.
func (s *swarmBench) overlayCut(t *testing.T) {
	t.Helper()
	overlay := []string{"--protocol", "udp", "--dport", "4789"}
	defer s.nodes[2].Cut(t, s.nodes[0], overlay...)()
	defer s.nodes[2].Cut(t, s.nodes[1], overlay...)()
	rep, status := s.runNodes(t)
	assert.Check(t, is.Equal(status, 0), "the ports of the nodes are still open")
	want := everyPair()
	for _, pair := range []string{"1>3", "2>3", "3>1", "3>2"} {
		want[pair] = 1
	}
	assert.Check(t, is.DeepEqual(reached(rep), want))
	found := findingOf(t, rep, "firewall-drops")
	assert.Check(t, is.Equal(found.Severity, report.SeverityWarning))
	assert.Check(t, is.Equal(found.Evidence[0], "between node node-3 and every other node packets are dropped: udp 4789 (overlay networks)"))
	s.checkNothingLeft(t)
}

// A node that the user has drained is no fault.
func (s *swarmBench) drained(t *testing.T) {
	t.Helper()
	s.update(t, "drain")
	defer s.update(t, "active")
	rep, status := s.runNodes(t)
	assert.Check(t, is.Equal(status, 0))
	assert.Check(t, is.DeepEqual(reached(rep), everyPair("1>3", "2>3", "3>1", "3>2", "3>3")))
	assert.Check(t, is.Equal(rep.Nodes[2].State, "drained"))
	assert.Check(t, is.Len(rep.Findings, 0), "%+v", rep.Findings)
}

// update changes the availability of the third node.
func (s *swarmBench) update(t *testing.T, availability string) {
	t.Helper()
	out, err := s.command(context.WithoutCancel(t.Context()), 0, "node", "update", "--availability", availability, "node-3").CombinedOutput()
	assert.NilError(t, err, "%s", out)
}

// The manager soon reports a node as down that is cut off from all others. The finding
// is the same before and after that.
func (s *swarmBench) nodeCut(t *testing.T) {
	t.Helper()
	defer s.nodes[2].Cut(t, s.nodes[0])()
	defer s.nodes[2].Cut(t, s.nodes[1])()
	for _, when := range []string{"immediately", "later"} {
		rep, status := s.runNodes(t)
		assert.Check(t, is.Equal(status, 1), when)
		assert.Check(t, is.DeepEqual(reached(rep), everyPair("1>3", "2>3", "3>1", "3>2", "3>3")), when)
		assert.Check(t, is.Equal(rep.Nodes[2].State, "down"), when)
		found := findingOf(t, rep, "firewall-drops")
		assert.Check(t, is.Equal(found.Severity, report.SeverityError), when)
		assert.Check(t, is.Contains(found.Evidence[0], "node node-3 is cut off from every other node"), when)
		assert.Check(t, is.Contains(strings.Join(found.Evidence, "\n"), "its engine answers by context node-3"), when)
	}
	s.checkNothingLeft(t)
}

// A node to which no context leads has no image: the finding has the command to load
// it, and the other nodes are probed.
func TestSwarmWithoutContext(t *testing.T) {
	t.Parallel()
	s := newSwarmBench(t)
	for name, args := range map[string][]string{
		"node-3": {"context", "rm", "node-3"},
		"dead":   {"context", "create", "dead", "--docker", "host=tcp://" + s.nodes[2].Address + ":2375"},
	} {
		out, err := s.command(t.Context(), 0, args...).CombinedOutput()
		assert.NilError(t, err, "%s: %s", name, out)
	}
	rep, status := s.runNodes(t)
	assert.Check(t, is.Equal(status, 1))
	assert.Check(t, is.DeepEqual(reached(rep), everyPair("1>3", "2>3", "3>1", "3>2", "3>3")))
	found := findingOf(t, rep, "image-unavailable")
	assert.Check(t, is.Contains(found.Evidence[0], "node node-3: "))
	assert.Check(t, is.DeepEqual(found.Commands, []string{"docker save -o image.tar " + rep.Servers[2].Image, "docker --context node-3 load -i image.tar"}))
	s.checkNothingLeft(t)

	s.nodes[2].CreateContext(t, s.config, "node-3")
	rep, status = s.runNodes(t)
	assert.Check(t, is.Equal(status, 0))
	assert.Check(t, is.DeepEqual(reached(rep), everyPair()))
}

// An interrupt leaves nothing behind, at any time.
func TestSwarmInterrupted(t *testing.T) { //nolint:tparallel // one Swarm, on which each looks for what is left
	t.Parallel()
	s := newSwarmBench(t)
	for name, enough := range map[string]func(left string) bool{
		"the network is made":  func(left string) bool { return strings.Contains(left, ": network ") },
		"servers run":          func(left string) bool { return strings.Count(left, "running") >= 3 },
		"helpers were created": func(left string) bool { return strings.Contains(left, "-helper") },
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, s.run(t, 0, "--nodes"))
			s.awaitMade(t, p, enough)
			began := time.Now()
			p.signalGroup(t, syscall.SIGINT)
			assert.Check(t, is.Equal(p.status(t), statusInterrupted), "%s", &p.stderr)
			took := time.Since(began)
			assert.Check(t, took < soon, "it took %s", took)
			assert.Check(t, is.Equal(p.messages(), "interrupted\n"))
			s.checkNothingLeft(t)
		})
	}
}

// awaitMade waits until a command has made enough on the nodes.
func (s *swarmBench) awaitMade(t *testing.T, p *process, enough func(left string) bool) {
	t.Helper()
	holds := func() bool {
		if enough(strings.Join(s.left(t), "\n")) {
			return true
		}
		assert.Assert(t, is.Len(p.ended, 0), "the command has ended: %s%s", &p.stdout, &p.stderr)
		return false
	}
	if !eventuallyEvery(50*time.Millisecond, hangs, holds) {
		t.Fatalf("waiting for what the command makes: %q", s.left(t))
	}
}

// What a run leaves that was killed with its reaper ends at its deadline. diagnose reports
// it, and the next run removes it.
func TestSwarmKilled(t *testing.T) {
	t.Parallel()
	s := newSwarmBench(t)
	at := killMoment{"the servers have been made", "POST /services/create", true, true}
	tap, killed := killAt(t, &bench{Engine: s.nodes[0]}, at, func(m moment) int { return m.Client })
	cmd := s.nodes[0].Command(t.Context(), "docker", "nestprobe", "run", "--nodes", "--wait", "1s")
	cmd.Env = s.nodes[0].ContextEnviron(s.config)
	p := start(t, through(cmd, tap))
	assert.Check(t, p.status(t) != 0)
	assert.Assert(t, is.Len(killed, 1), "the moment did not come: %s", &p.stderr)
	services, err := s.nodes[0].Client(t).ServiceList(t.Context(), swarm.ServiceListOptions{})
	assert.NilError(t, err)
	deadline, err := time.Parse(time.RFC3339, services[0].Spec.Labels[engine.LabelDeadline])
	assert.NilError(t, err)
	assert.Check(t, is.DeepEqual(services[0].Spec.TaskTemplate.ContainerSpec.Labels, services[0].Spec.Labels))

	out, err := s.run(t, 0, "-q").CombinedOutput()
	assert.NilError(t, err, "%s", out)
	assert.Check(t, !strings.Contains(string(out), "removed"), "before its deadline: %s", out)
	<-time.After(time.Until(deadline) + time.Second) // the label has whole seconds
	s.await(t, "the servers to end", func(left string) bool { return !strings.Contains(left, "running") })

	diagnosed := start(t, s.command(t.Context(), 0, "nestprobe", "diagnose", "--format", "json"))
	assert.Check(t, is.Equal(diagnosed.status(t), 0))
	assert.Check(t, is.Contains(diagnosed.stdout.String(), "docker --context node-1 service rm "+services[0].Spec.Name))
	out, err = s.run(t, 1, "-q").CombinedOutput() // a worker can remove only its own containers
	assert.NilError(t, err, "%s", out)
	assert.Check(t, !strings.Contains(string(out), "could not"), "%s", out)
	out, err = s.run(t, 0, "-q").CombinedOutput()
	assert.NilError(t, err, "%s", out)
	assert.Check(t, is.Contains(string(out), "removed 2 leftovers of earlier runs whose deadline had passed\n"))
	s.checkNothingLeft(t)
}
