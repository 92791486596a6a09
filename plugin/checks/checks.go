// Package checks looks at everything that a server's reachability depends on,
// before any server is started: the context, its endpoint, the engine, how
// containers can get access to the Docker API, networks, proxies and leftovers.
// Each category is a file. The command diagnose calls [Run], or
// [DescribeTarget] if it has a TARGET. Both start and change nothing.
//
// The package must not import docker/cli, and must not know how a Report is
// printed.
package checks

import (
	"context"
	"slices"
	"sync"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/bounds"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// check is one thing to look at.
type check struct {
	category   string
	name       string
	dependsOn  []string // earlier checks; if one of them blocks, this one is skipped
	fatal      bool     // the later checks of the category depend on it
	hint       string   // what to do, for a fault that has no hint
	ownTimeout bool     // it limits its own time; the others have checkTimeout
	run        func(*state, context.Context) (checkResult, error)
}

// checkTimeout limits a check, whose calls have bounds of their own: two of them, one after
// the other.
const checkTimeout = 2 * bounds.AnswerTime

// Result is what Run found.
type Result struct {
	Endpoint report.Endpoint
	Self     *report.Self // the container of this process, as the engine knows it; nil if it is in none
	Checks   []report.Check
	Findings []report.Finding
}

// Run runs all checks, independent ones in parallel. It returns an error only if
// ctx ended: a fault is a finding.
func Run(ctx context.Context, input Input) (Result, error) {
	s := &state{Input: input}
	defer s.close()
	tasks := s.runChecks(ctx, allChecks())
	result := Result{Endpoint: s.endpoint, Self: s.self.Report()}
	after := slices.IndexFunc(tasks, func(t *task) bool { return t.category == callChecks[0].category }) + len(callChecks)
	for _, t := range slices.Insert(tasks, after, s.afterwards()...) {
		result.Checks = append(result.Checks, t.report(input.Context))
		if finding, ok := t.finding(); ok {
			result.Findings = diagnosis.Merge(result.Findings, []report.Finding{finding})
		}
	}
	return result, ctx.Err()
}

// runChecks runs checks, independent ones in parallel.
func (s *state) runChecks(ctx context.Context, checks []check) []*task {
	tasks := newTasks(checks)
	var group sync.WaitGroup
	for _, t := range tasks {
		group.Go(func() { t.run(ctx, s) })
	}
	group.Wait()
	return tasks
}

// allChecks lists the checks in the order of the output.
func allChecks() []check {
	return slices.Concat(contextChecks, endpointChecks, engineChecks, callChecks, accessChecks, networkChecks, leftoverChecks)
}

// category puts checks into a category.
func category(name string, checks []check) []check {
	for i := range checks {
		checks[i].category = name
	}
	return checks
}
