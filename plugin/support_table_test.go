//go:build linux

package plugin_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// measureSupport has the tests measure again what works on which kind of engine, and
// record it; `make support-table` sets it.
var measureSupport = flag.Bool("measure-support", false, "run every network mode on every kind of engine, and record the results")

// supportFile has the recorded results.
const supportFile = "../testdata/support.json"

// supported has the results of one kind of engine.
type supported struct {
	Kind    enginetest.Kind `json:"kind"`
	Version string          `json:"version"`
	Modes   []supportedMode `json:"modes"`
}

// supportedMode has the results of one network mode from the vantages of both commands:
// host, client, and a peer.
type supportedMode struct {
	Mode string           `json:"mode"`
	From []supportedReach `json:"from"`
}

type supportedReach struct {
	Vantage string `json:"vantage"`
	OK      bool   `json:"ok"`
	Cause   string `json:"cause,omitempty"`
	Engine  string `json:"engine,omitempty"` // the engine's error if it cannot do the mode
}

// supportedKinds are all kinds, and the manager of a Swarm for overlay networks.
func supportedKinds() []enginetest.Kind { return append(enginetest.All(), enginetest.Swarm) }

func supportedEngine(t *testing.T, kind enginetest.Kind) *enginetest.Engine {
	t.Helper()
	if kind == enginetest.Swarm {
		return enginetest.StartSwarm(t, 1)[0]
	}
	return enginetest.Get(t, kind)
}

// recordSupport measures every kind and writes the results.
func recordSupport(t *testing.T) {
	t.Helper()
	var mu sync.Mutex
	var all []supported
	t.Run("kinds", func(t *testing.T) {
		for _, kind := range supportedKinds() {
			t.Run(string(kind), func(t *testing.T) {
				t.Parallel()
				one := measureOn(t, supportedEngine(t, kind))
				mu.Lock()
				defer mu.Unlock()
				all = append(all, one)
			})
		}
	})
	assert.Assert(t, !t.Failed())
	kinds := supportedKinds()
	slices.SortFunc(all, func(a, b supported) int { return slices.Index(kinds, a.Kind) - slices.Index(kinds, b.Kind) })
	data, err := json.MarshalIndent(all, "", " ")
	assert.NilError(t, err)
	assert.NilError(t, os.WriteFile(supportFile, append(data, '\n'), 0o644))
}

// TestSupportTable checks that the table in docs/networks.md has the recorded results, for every
// kind and mode.
func TestSupportTable(t *testing.T) { //nolint:tparallel // recordSupport waits for its subtests
	t.Parallel()
	if *measureSupport {
		recordSupport(t)
	}
	all := recordedSupport(t)
	var kinds []enginetest.Kind
	for _, one := range all {
		kinds = append(kinds, one.Kind)
		for i, m := range experiment.NetworkModes() {
			assert.Assert(t, i < len(one.Modes) && one.Modes[i].Mode == m.Name, "%s has no record of mode %s: make support-table", one.Kind, m.Name)
			for _, from := range one.Modes[i].From {
				assert.Check(t, from.OK || from.Cause != "" || from.Engine != "", "%s, %s: not reached from the %s, without a cause", one.Kind, m.Name, from.Vantage)
			}
		}
	}
	assert.Assert(t, is.DeepEqual(kinds, supportedKinds()), "make support-table")
	compareTable(t, "../docs/networks.md", "support", supportTable(all))
}

// The results are still as recorded, on one engine. Others need a machine that does nothing
// else meanwhile: Podman 4.3 was seen to hold its lock on networks for more than 10 s.
func TestSupportIsStillAsRecorded(t *testing.T) {
	t.Parallel()
	all := recordedSupport(t)
	i := slices.IndexFunc(all, func(s supported) bool { return s.Kind == enginetest.Engine28_5 })
	assert.Assert(t, i >= 0, "make support-table")
	measured := measureOn(t, enginetest.StartPrivate(t, enginetest.Engine28_5))
	assert.Check(t, is.DeepEqual(measured.Modes, all[i].Modes), "if the new result is right: make support-table")
}

func recordedSupport(t *testing.T) []supported {
	t.Helper()
	data, err := os.ReadFile(supportFile)
	assert.NilError(t, err)
	var all []supported
	assert.NilError(t, json.Unmarshal(data, &all))
	return all
}

// measureOn runs both commands on an engine that no other test uses meanwhile.
func measureOn(t *testing.T, engine *enginetest.Engine) supported {
	t.Helper()
	config := t.TempDir()
	assert.NilError(t, installPlugin(config))
	b := &bench{Engine: engine, config: config}
	one := supported{Kind: engine.Kind, Version: engine.Version}
	parent := parentFlags(t, engine)
	onHost := b.matrix(t, append([]string{"run"}, parent...))
	inClient := b.matrix(t, append(inside("--access", "auto"), parent...))
	for i, m := range experiment.NetworkModes() {
		one.Modes = append(one.Modes, supportedMode{Mode: m.Name, From: mergeReaches(onHost.Modes[i], inClient.Modes[i])})
	}
	return one
}

// parentFlags name the parent of macvlan and ipvlan networks.
func parentFlags(t *testing.T, engine *enginetest.Engine) []string {
	t.Helper()
	parent, err := engine.Parent(t)
	if err != nil {
		t.Logf("without a parent interface: %v", err)
		return nil
	}
	return []string{"--parent", parent.Interface, "--subnet", parent.Subnet.String()}
}

// matrix runs a command in every network mode.
func (b *bench) matrix(t *testing.T, args []string) report.Report {
	t.Helper()
	args = append(args, "--networks", "all", "--format", "json")
	p := start(t, b.nestprobe(t, args...))
	status := p.status(t)
	var rep report.Report
	assert.NilError(t, json.Unmarshal([]byte(p.stdout.String()), &rep), "exit status %d: %s", status, &p.stderr)
	assert.Assert(t, is.Len(rep.Modes, len(experiment.NetworkModes())), "exit status %d: %s", status, &p.stderr)
	for _, m := range rep.Modes {
		for _, p := range rep.Probes {
			if !p.OK && p.Server == m.Server {
				t.Logf("%s %s from %s: %s %s, %d attempts: %s", args[0], m.Name, p.Vantage, p.Kind, p.Address, p.Attempts, p.Detail)
			}
		}
	}
	return rep
}

// mergeReaches merges the vantages of both commands. The peer is the same for both.
func mergeReaches(onHost, inClient report.Mode) []supportedReach {
	from := reaches(onHost, "host")
	for _, reach := range reaches(inClient, "client") {
		if reach.Vantage == "client" {
			from = slices.Insert(from, min(1, len(from)), reach)
		}
	}
	return from
}

// reaches are a mode's results by vantage. If the engine cannot do the mode, there is
// only one, for the command's vantage.
func reaches(m report.Mode, vantage string) []supportedReach {
	if len(m.From) == 0 {
		return []supportedReach{{Vantage: vantage, Cause: string(m.Cause), Engine: engineError(m)}}
	}
	var from []supportedReach
	for _, reach := range m.From {
		from = append(from, supportedReach{Vantage: reach.Vantage, OK: reach.OK, Cause: string(reach.Cause)})
	}
	return from
}

// engineError is the engine's error message, without what differs from run to run.
func engineError(m report.Mode) string {
	if m.Cause != "" {
		return ""
	}
	const mark = "Error response from daemon: "
	if at := strings.LastIndex(m.Detail, mark); at >= 0 {
		m.Detail = m.Detail[at+len(mark):]
	}
	return strings.TrimSpace(strings.TrimPrefix(m.Detail, "starting the server: "))
}

// supportTable renders the results as Markdown: a row for each kind, a column for each
// mode, and below it numbered notes on what does not work.
func supportTable(all []supported) string {
	var text strings.Builder
	header, rule := "| engine |", "|---|"
	for _, m := range experiment.NetworkModes() {
		header, rule = header+" "+m.Name+" |", rule+"---|"
	}
	fmt.Fprintf(&text, "%s\n%s\n", header, rule)
	var notes []string
	for _, one := range all {
		fmt.Fprintf(&text, "| %s (%s) |", one.Kind, one.Version)
		for _, m := range one.Modes {
			fmt.Fprintf(&text, " %s |", cell(m, &notes))
		}
		text.WriteString("\n")
	}
	text.WriteString("\n")
	for i, note := range notes {
		fmt.Fprintf(&text, "%d. %s\n", i+1, note)
	}
	return text.String()
}

// cell is the result in a word, and the numbers of its notes.
func cell(m supportedMode, notes *[]string) string {
	word, numbers := "works", []string{}
	if !slices.ContainsFunc(m.From, func(r supportedReach) bool { return r.OK }) {
		word = "cannot"
	}
	for _, note := range notesOn(m) {
		at := slices.Index(*notes, note)
		if at < 0 {
			at = len(*notes)
			*notes = append(*notes, note)
		}
		numbers = append(numbers, fmt.Sprint(at+1))
	}
	if len(numbers) > 0 {
		word += " <sup>" + strings.Join(numbers, " ") + "</sup>"
	}
	return word
}

// notesOn lists from where a server is not reached, and why, each reason once.
func notesOn(m supportedMode) []string {
	var reasons, notes []string
	from := map[string][]string{}
	for _, reach := range m.From {
		if reach.OK {
			continue
		}
		reason := "`" + reach.Cause + "`"
		if reach.Cause == "" {
			reason = "the engine says: " + reach.Engine
		}
		if !slices.Contains(reasons, reason) {
			reasons = append(reasons, reason)
		}
		from[reason] = append(from[reason], reach.Vantage)
	}
	for _, reason := range reasons {
		if strings.HasPrefix(reason, "`") {
			reason = fmt.Sprintf("not from the %s: %s", strings.Join(from[reason], " or the "), reason)
		}
		notes = append(notes, reason)
	}
	return notes
}
