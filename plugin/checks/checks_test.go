package checks

import (
	"context"
	"errors"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// made is a check with a given outcome.
func made(category, name string, ends bool, look func() (outcome, error), needs ...string) check {
	return check{category: category, name: name, ends: ends, needs: needs, look: func(*state, context.Context) (outcome, error) { return look() }}
}

func passes() (outcome, error) { return pass("fine") }

func fails() (outcome, error) {
	return outcome{}, &report.Fault{Cause: connection.TLSExpired, Err: errors.New("it is over")}
}

func panics() (outcome, error) {
	panic("out of order")
}

func breaks() (outcome, error) { return outcome{}, errors.New("no idea") }
func skips() (outcome, error)  { return skip("it does not apply") }
func wonders() (outcome, error) {
	return undecided("who knows")
}

func runAll(t *testing.T, all ...check) map[string]report.Check {
	t.Helper()
	nodes := plan(all)
	found := map[string]report.Check{}
	for _, n := range nodes {
		n.run(t.Context(), &state{})
		found[n.name] = n.report("")
	}
	return found
}

func TestPlan(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		all  []check
		want map[string]report.CheckResult
		why  string // of the check "last"
	}{
		"what is independent goes on": {
			[]check{made("a", "first", false, fails), made("a", "last", false, passes)},
			map[string]report.CheckResult{"first": "failure", "last": "pass"}, "fine",
		},
		"an end of its category": {
			[]check{made("a", "first", true, fails), made("a", "last", false, passes), made("b", "other", false, passes)},
			map[string]report.CheckResult{"first": "failure", "last": "skipped", "other": "pass"}, `since the check "first" failed`,
		},
		"a need that failed": {
			[]check{made("a", "first", false, fails), made("b", "last", false, passes, "first")},
			map[string]report.CheckResult{"last": "skipped"}, `since the check "first" failed`,
		},
		"a need of a need": {
			[]check{made("a", "first", false, fails), made("b", "second", false, passes, "first"), made("c", "last", false, passes, "second")},
			map[string]report.CheckResult{"second": "skipped", "last": "skipped"}, `since the check "first" failed`,
		},
		"a need that does not apply": {
			[]check{made("a", "first", true, skips), made("a", "last", false, passes, "first")},
			map[string]report.CheckResult{"first": "skipped", "last": "pass"}, "fine",
		},
		"a need that decides nothing": {
			[]check{made("a", "first", false, wonders), made("a", "last", false, passes, "first")},
			map[string]report.CheckResult{"first": "inconclusive", "last": "skipped"}, `since the check "first" decided nothing`,
		},
		"a panic is the check's own": {
			[]check{made("a", "first", false, panics), made("a", "second", false, passes), made("b", "last", false, passes, "first")},
			map[string]report.CheckResult{"first": "crashed", "second": "pass", "last": "skipped"}, `since the check "first" crashed`,
		},
		"so is an error without a cause": {
			[]check{made("a", "last", false, breaks)},
			map[string]report.CheckResult{"last": "crashed"}, "the check itself: no idea",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := runAll(t, test.all...)
			for check, want := range test.want {
				assert.Equal(t, found[check].Result, want, "%s: %+v", check, found[check])
			}
			assert.Equal(t, found["last"].Detail, test.why)
		})
	}
}

func TestFindings(t *testing.T) {
	t.Parallel()
	fault := &report.Fault{Cause: diagnosis.Leftovers, Evidence: []string{"\x1b[2J"}}
	for result, severity := range map[report.CheckResult]report.Severity{
		report.CheckPass:    report.SeverityInfo,
		report.CheckWarning: report.SeverityWarning,
		report.CheckFailure: report.SeverityError,
	} {
		n := &node{check: check{hint: "mend it"}, outcome: outcome{result: result, detail: "\x1b[2J\n", fault: fault, title: "\x1b"}}
		finding, ok := n.finding()
		assert.Assert(t, ok)
		assert.Equal(t, finding.Severity, severity)
		assert.Equal(t, finding.Hint, "mend it")
		shown := finding.Title + strings.Join(finding.Evidence, "") + n.report("\x1b").Detail + n.report("\x1b").Context
		assert.Assert(t, !strings.ContainsAny(shown, "\x1b\n"), "%q", shown)
	}
	_, ok := (&node{}).finding()
	assert.Assert(t, !ok)
}

// The catalogue names only checks that come before, each with a name of its own.
func TestCatalogue(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, c := range catalogue() {
		for _, need := range c.needs {
			assert.Check(t, known[need], "%s needs %s, which does not come before", c.name, need)
		}
		assert.Check(t, !known[c.name], "two checks are called %s", c.name)
		assert.Check(t, c.category != "" && c.look != nil, c.name)
		known[c.name] = true
	}
	for _, name := range []string{report.CheckOfEndpoint, report.CheckOfEngine} {
		assert.Check(t, known[name], name)
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Run(ctx, subjectAt(t, "unix:///nowhere"))
	assert.ErrorIs(t, err, context.Canceled)
}
