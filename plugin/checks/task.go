package checks

import (
	"context"
	"errors"
	"fmt"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// task is a check, the tasks that it waits for, and its result.
type task struct {
	check
	dependencies []*task
	done         chan struct{} // closed when there is a result
	result       checkResult
}

// newTasks connects each check to those that it depends on.
func newTasks(checks []check) []*task {
	tasks := make([]*task, len(checks))
	byName := map[string]*task{}
	fatal := map[string][]*task{} // by category
	for i, c := range checks {
		t := &task{check: c, done: make(chan struct{}), dependencies: fatal[c.category]}
		for _, name := range c.dependsOn {
			t.dependencies = append(t.dependencies[:len(t.dependencies):len(t.dependencies)], byName[name])
		}
		if c.fatal {
			fatal[c.category] = append(fatal[c.category], t)
		}
		tasks[i], byName[c.name] = t, t
	}
	return tasks
}

// run waits for the dependencies, then runs the check unless one of them blocks it.
func (t *task) run(ctx context.Context, s *state) {
	defer close(t.done)
	for _, dependency := range t.dependencies {
		<-dependency.done // each check has a timeout
		if since := dependency.blocks(); since != "" {
			t.result = checkResult{status: report.CheckSkipped, detail: "since " + since, skippedSince: since}
			return
		}
	}
	t.result = t.runCheck(ctx, s)
}

// blocks returns why the checks that depend on this one cannot run: which check
// failed first. It is empty if they can: a check that does not apply blocks nothing.
func (t *task) blocks() string {
	what := map[report.CheckResult]string{
		report.CheckFailure:      "failed",
		report.CheckInconclusive: "was inconclusive",
		report.CheckCrashed:      "crashed",
	}[t.result.status]
	if what == "" {
		return t.result.skippedSince
	}
	return fmt.Sprintf("the check %q %s", t.name, what)
}

// runCheck runs the check with its timeout. A panic, and an error that is no
// fault, are defects of the check: they say nothing about what it looks at.
func (t *task) runCheck(ctx context.Context, s *state) (result checkResult) {
	defer func() {
		if cause := recover(); cause != nil {
			result = checkResult{status: report.CheckCrashed, detail: fmt.Sprintf("defect in the check: %v", cause)}
		}
	}()
	limited, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if t.ownTimeout {
		limited = ctx
	}
	result, err := t.check.run(s, limited)
	if err == nil {
		return result
	}
	fault := new(report.Fault)
	switch {
	case errors.As(err, &fault):
		return checkResult{status: report.CheckFailure, detail: describeFault(fault), fault: fault}
	case ctx.Err() != nil: // interrupted
		return checkResult{status: report.CheckInconclusive, detail: ctx.Err().Error()}
	case limited.Err() != nil:
		fault := &report.Fault{Cause: connection.EngineUnreachable, Err: fmt.Errorf("the engine answers, but the calls of this check did not end within %s", checkTimeout)}
		return checkResult{status: report.CheckFailure, detail: describeFault(fault), fault: fault}
	default:
		return checkResult{status: report.CheckCrashed, detail: "defect in the check: " + err.Error()}
	}
}

// report returns the check as part of a Report. Its context and detail may quote
// an engine or a file, so they are escaped here.
func (t *task) report(contextName string) report.Check {
	c := report.Check{
		Context:  netprobe.Visible(contextName, report.MaxLine),
		Category: t.category,
		Name:     t.name,
		Result:   t.result.status,
		Detail:   netprobe.Visible(t.result.detail, report.MaxLine),
	}
	if t.result.fault != nil && c.Result != report.CheckPass {
		c.Cause = t.result.fault.Cause
	}
	return c
}

// finding returns the finding of the check's fault, if it has one.
func (t *task) finding() (report.Finding, bool) {
	if t.result.fault == nil {
		return report.Finding{}, false
	}
	fault := *t.result.fault
	if fault.Hint == "" {
		fault.Hint = t.hint
	}
	finding := diagnosis.Finding(&fault)
	switch t.result.status {
	case report.CheckPass:
		finding.Severity = report.SeverityInfo
	case report.CheckWarning:
		finding.Severity = report.SeverityWarning
	}
	if t.result.title != "" {
		finding.Title = t.result.title
	}
	return finding, true
}
