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

// newCheck returns a check that calls run.
func newCheck(category, name string, run func() (checkResult, error), dependsOn ...string) check {
	return check{category: category, name: name, dependsOn: dependsOn, run: func(*state, context.Context) (checkResult, error) { return run() }}
}

func fatalCheck(category, name string, run func() (checkResult, error)) check {
	c := newCheck(category, name, run)
	c.fatal = true
	return c
}

func passes() (checkResult, error) { return pass("fine") }

func fails() (checkResult, error) {
	return checkResult{}, &report.Fault{Cause: connection.TLSExpired, Err: errors.New("it expired")}
}

func panics() (checkResult, error) {
	panic("a defect")
}

func errs() (checkResult, error) { return checkResult{}, errors.New("no cause") }

func skips() (checkResult, error) { return skip("it does not apply") }

func isInconclusive() (checkResult, error) { return inconclusive("the engine does not say") }

func runAll(t *testing.T, all ...check) map[string]report.Check {
	t.Helper()
	tasks := newTasks(all)
	found := map[string]report.Check{}
	for _, task := range tasks {
		task.run(t.Context(), &state{})
		found[task.name] = task.report("")
	}
	return found
}

func TestDependencies(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		all  []check
		want map[string]report.CheckResult
		why  string // the detail of the check "last"
	}{
		"no dependency": {
			[]check{newCheck("a", "first", fails), newCheck("a", "last", passes)},
			map[string]report.CheckResult{"first": "failure", "last": "pass"}, "fine",
		},
		"a fatal failure": {
			[]check{fatalCheck("a", "first", fails), newCheck("a", "last", passes), newCheck("b", "other", passes)},
			map[string]report.CheckResult{"first": "failure", "last": "skipped", "other": "pass"}, `since the check "first" failed`,
		},
		"a dependency that failed": {
			[]check{newCheck("a", "first", fails), newCheck("b", "last", passes, "first")},
			map[string]report.CheckResult{"last": "skipped"}, `since the check "first" failed`,
		},
		"a dependency of a dependency": {
			[]check{newCheck("a", "first", fails), newCheck("b", "second", passes, "first"), newCheck("c", "last", passes, "second")},
			map[string]report.CheckResult{"second": "skipped", "last": "skipped"}, `since the check "first" failed`,
		},
		"a dependency that does not apply": {
			[]check{fatalCheck("a", "first", skips), newCheck("a", "last", passes, "first")},
			map[string]report.CheckResult{"first": "skipped", "last": "pass"}, "fine",
		},
		"an inconclusive dependency": {
			[]check{newCheck("a", "first", isInconclusive), newCheck("a", "last", passes, "first")},
			map[string]report.CheckResult{"first": "inconclusive", "last": "skipped"}, `since the check "first" was inconclusive`,
		},
		"a panic": {
			[]check{newCheck("a", "first", panics), newCheck("a", "second", passes), newCheck("b", "last", passes, "first")},
			map[string]report.CheckResult{"first": "crashed", "second": "pass", "last": "skipped"}, `since the check "first" crashed`,
		},
		"an error without a cause": {
			[]check{newCheck("a", "last", errs)},
			map[string]report.CheckResult{"last": "crashed"}, "defect in the check: no cause",
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
	for status, severity := range map[report.CheckResult]report.Severity{
		report.CheckPass:    report.SeverityInfo,
		report.CheckWarning: report.SeverityWarning,
		report.CheckFailure: report.SeverityError,
	} {
		failed := &task{check: check{hint: "fix it"}, result: checkResult{status: status, detail: "\x1b[2J\n", fault: fault, title: "A title"}}
		finding, ok := failed.finding()
		assert.Assert(t, ok)
		assert.Equal(t, finding.Severity, severity)
		assert.Equal(t, finding.Hint, "fix it")
		assert.Equal(t, finding.Title, "A title")
		c := failed.report("\x1b")
		shown := strings.Join(finding.Evidence, "") + c.Detail + c.Context
		assert.Assert(t, !strings.ContainsAny(shown, "\x1b\n"), "%q", shown)
	}
	_, ok := (&task{}).finding()
	assert.Assert(t, !ok)
}

// Each check has a unique name, and depends only on earlier ones.
func TestAllChecks(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, c := range allChecks() {
		for _, name := range c.dependsOn {
			assert.Check(t, known[name], "%s depends on %s, which is not an earlier check", c.name, name)
		}
		assert.Check(t, !known[c.name], "two checks have the name %s", c.name)
		assert.Check(t, c.category != "" && c.run != nil, c.name)
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
	_, err := Run(ctx, inputFor(t, "unix:///nowhere"))
	assert.ErrorIs(t, err, context.Canceled)
}
