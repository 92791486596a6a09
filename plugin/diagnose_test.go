//go:build linux

package plugin_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/network"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// diagnose changes nothing: neither the target, nor a container that it probes from, nor
// another container, nor networks, nor the engine's rules and routes.
func TestDiagnoseChangesNothing(t *testing.T) {
	t.Parallel()
	onEach(t, privateKinds(), func(t *testing.T, b *bench) {
		b.makeNetwork(t, "users", nil)
		b.makeContainer(t, "target", "users", nil, true)
		b.makeContainer(t, "source", "", nil, true)
		b.makeContainer(t, "beside", "", nil, true)
		b.makeContainer(t, "stopped", "users", nil, false)
		before := strings.Split(b.snapshot(t), "\n")
		for _, args := range [][]string{
			nil,
			{"target:8080"},
			{"stopped:8080"},
			{"host:17140"},
			{"--from", "source", "--from", "network:users", "target:8080"},
			{"--from", "target", "host:17140"},
			{"missing:1"},
		} {
			b.runDiagnose(t, args...)
			assert.Check(t, is.DeepEqual(strings.Split(b.snapshot(t), "\n"), before), "diagnose %v", args)
		}
	})
}

// runDiagnose runs diagnose to its end, whatever it finds.
func (b *bench) runDiagnose(t *testing.T, args ...string) {
	t.Helper()
	p := start(t, b.nestprobe(t, append([]string{"diagnose"}, args...)...))
	assert.Check(t, p.status(t) != -1, "%s", &p.stderr)
}

// changing matches what changes without diagnose: the counters of a chain of iptables,
// the time at which they were printed, and the kernel's routes for each link, which it
// removes some time after the container.
var changing = regexp.MustCompile(`(?m)^#.*$| ?\[\d+:\d+\]|^.* proto kernel .*\n`)

// snapshot is the state of everything that diagnose could change.
func (b *bench) snapshot(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	for _, name := range []string{"target", "source", "beside", "stopped"} {
		fmt.Fprintln(&text, b.state(t, name))
	}
	networks, err := b.api.NetworkList(t.Context(), network.ListOptions{})
	assert.NilError(t, err)
	slices.SortFunc(networks, func(a, b network.Summary) int { return strings.Compare(a.Name, b.Name) })
	for _, n := range networks {
		inspected, err := b.api.NetworkInspect(t.Context(), n.ID, network.InspectOptions{Verbose: true})
		assert.NilError(t, err)
		fmt.Fprintf(&text, "%+v\n", inspected)
	}
	for _, command := range [][]string{
		{"docker", "ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.Names}}"},
		{"iptables-save"}, {"ip6tables-save"},
		{"ip", "route", "show", "table", "all"}, {"ip", "rule"},
	} {
		out, err := b.Command(t.Context(), command[0], command[1:]...).Output()
		assert.NilError(t, err, "%v", command)
		fmt.Fprintf(&text, "%v\n%s", command, changing.ReplaceAllString(string(out), ""))
	}
	return text.String()
}

// A diagnosis that ends early leaves nothing: when it is interrupted, it removes its
// helpers; when it is killed, its reaper removes them.
func TestDiagnoseInterruptedOrKilled(t *testing.T) {
	t.Parallel()
	onEach(t, privateKinds(), func(t *testing.T, b *bench) {
		b.makeContainer(t, "target", "", nil, true)
		b.interruptAndKill(t, "target", (*process).signalGroup,
			"diagnose", "--from", "target", "--from", "network:bridge", "--timeout", "10m", "target:8080")
	})
}

// A diagnosis that is killed while a helper is being made leaves nothing. From the server's own
// network namespace it has only one helper.
func TestDiagnoseKilledAtAnyRequest(t *testing.T) { //nolint:tparallel // one engine, on which each looks for what is left
	t.Parallel()
	b := newBench(t, enginetest.Toolbox)
	b.makeContainer(t, "target", "", nil, true)
	for _, at := range []killMoment{
		{"the image is being loaded", "POST /images/load", false, false},
		{"the helper has been created", "POST /containers/create", true, false},
		{"the lease has been taken", "POST /containers/ID/attach", true, false},
		{"the helper has been started", "POST /containers/ID/start", true, false},
		{"the helper is being removed", "DELETE /containers/ID", false, false},
	} {
		t.Run(at.name, func(t *testing.T) { killPlugin(t, b, at, "diagnose", "--from", "target", "target:8080") })
	}
}
