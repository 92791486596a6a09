// Package checks looks at what a server's reachability depends on before any
// server is started: the context, its endpoint, the engine, the ways in which a
// container can be given the Docker API, networks, proxies and leftovers. Each
// category has a file. [Run] is called by the command diagnose; it changes
// nothing on the engine and starts nothing. So does [OfTarget], which tells what
// has been learnt of a target.
//
// It is apart from the package diagnosis because it needs the endpoint and the
// experiment, which report their faults by that package. It must not know of
// docker/cli, nor of how a Report is shown.
package checks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// check is one thing to look at.
type check struct {
	category string
	name     string
	needs    []string // the checks without which this one sees nothing
	ends     bool     // its failure ends its category
	hint     string   // what to do, where a fault does not say
	patient  bool     // it bounds its own time; the others have defaultBound
	look     func(*state, context.Context) (outcome, error)
}

// defaultBound is how long a check may take: an engine that answers at all
// answers its slowest question, /info, within 20 ms, and a whole diagnosis of a
// fault is to take 5 s at most.
const defaultBound = 3 * time.Second

// outcome is what became of a check.
type outcome struct {
	result report.CheckResult
	detail string
	fault  *report.Fault // of a failure or warning; of a pass, for information
	title  string        // of the finding, if not that of the cause

	root string // the check for which this one was skipped
}

func pass(format string, values ...any) (outcome, error) {
	return outcome{result: report.CheckPass, detail: fmt.Sprintf(format, values...)}, nil
}

func skip(format string, values ...any) (outcome, error) {
	return outcome{result: report.CheckSkipped, detail: fmt.Sprintf(format, values...)}, nil
}

func undecided(format string, values ...any) (outcome, error) {
	return outcome{result: report.CheckInconclusive, detail: fmt.Sprintf(format, values...)}, nil
}

// warn is for what may do harm, and may be as the user wants it.
func warn(fault *report.Fault, format string, values ...any) (outcome, error) {
	return outcome{result: report.CheckWarning, detail: fmt.Sprintf(format, values...), fault: fault}, nil
}

// Result is what a Run came to.
type Result struct {
	Endpoint report.Endpoint
	Checks   []report.Check
	Findings []report.Finding
}

// Run looks at everything, what is independent at once. An error says that ctx
// ended; whatever is wrong with the subject is a finding.
func Run(ctx context.Context, subject Subject) (Result, error) {
	s := &state{Subject: subject}
	defer s.close()
	nodes := s.lookAtAll(ctx, catalogue())
	result := Result{Endpoint: s.described()}
	for _, n := range nodes {
		result.Checks = append(result.Checks, n.report(subject.Context))
		if finding, ok := n.finding(); ok {
			result.Findings = diagnosis.Merge(result.Findings, []report.Finding{finding})
		}
	}
	return result, ctx.Err()
}

// lookAtAll runs checks, what is independent at once.
func (s *state) lookAtAll(ctx context.Context, all []check) []*node {
	nodes := plan(all)
	var group errgroup.Group
	for _, n := range nodes {
		group.Go(func() error {
			n.run(ctx, s)
			return nil
		})
	}
	_ = group.Wait() // a check that fails is a result
	return nodes
}

// catalogue lists the checks in the order in which they are shown.
func catalogue() []check {
	var all []check
	for _, category := range [][]check{
		contextChecks(), endpointChecks(), engineChecks(), accessChecks(), networkChecks(), leftoverChecks(),
	} {
		all = append(all, category...)
	}
	return all
}

// node is a check among those that it needs.
type node struct {
	check
	needs   []*node
	done    chan struct{} // closed once there is an outcome
	outcome outcome
}

// plan connects the checks. One that ends its category is needed by those that
// follow it there.
func plan(all []check) []*node {
	nodes := make([]*node, len(all))
	byName := map[string]*node{}
	ending := map[string][]*node{}
	for i, c := range all {
		n := &node{check: c, done: make(chan struct{}), needs: ending[c.category]}
		for _, name := range c.needs {
			n.needs = append(n.needs[:len(n.needs):len(n.needs)], byName[name])
		}
		if c.ends {
			ending[c.category] = append(ending[c.category], n)
		}
		nodes[i], byName[c.name] = n, n
	}
	return nodes
}

// run waits for what the check needs and looks, unless there is nothing to see.
func (n *node) run(ctx context.Context, s *state) {
	defer close(n.done)
	for _, need := range n.needs {
		<-need.done // every check is bounded
		if need.blocks() {
			n.outcome = follows(need)
			return
		}
	}
	n.outcome = n.looked(ctx, s)
}

// blocks says whether the checks that need this one see nothing. One that was
// skipped because it does not apply stands in nobody's way.
func (n *node) blocks() bool {
	switch n.outcome.result {
	case report.CheckFailure, report.CheckInconclusive, report.CheckCrashed:
		return true
	case report.CheckSkipped:
		return n.outcome.root != ""
	default:
		return false
	}
}

// follows is the outcome of a check that needs one that blocks.
func follows(need *node) outcome {
	root := need.outcome.root
	if root == "" {
		what := map[report.CheckResult]string{
			report.CheckFailure:      "failed",
			report.CheckInconclusive: "decided nothing",
			report.CheckCrashed:      "crashed",
		}[need.outcome.result]
		root = fmt.Sprintf("the check %q %s", need.name, what)
	}
	return outcome{result: report.CheckSkipped, detail: "since " + root, root: root}
}

// looked runs the check within its bound. What it did not expect is its own
// result and says nothing about the subject.
func (n *node) looked(ctx context.Context, s *state) (result outcome) {
	defer func() {
		if cause := recover(); cause != nil {
			result = outcome{result: report.CheckCrashed, detail: fmt.Sprintf("the check itself: %v", cause)}
		}
	}()
	bounded, cancel := context.WithTimeout(ctx, defaultBound)
	defer cancel()
	if n.patient {
		bounded = ctx
	}
	result, err := n.look(s, bounded)
	if err == nil {
		return result
	}
	fault := new(report.Fault)
	switch {
	case errors.As(err, &fault):
		return outcome{result: report.CheckFailure, detail: what(fault), fault: fault}
	case bounded.Err() != nil:
		return outcome{result: report.CheckInconclusive, detail: fmt.Sprintf("there was no answer within %s", defaultBound)}
	default:
		return outcome{result: report.CheckCrashed, detail: "the check itself: " + err.Error()}
	}
}

// what is what happened, without what to do.
func what(fault *report.Fault) string {
	if fault.Err != nil {
		return fault.Err.Error()
	}
	return diagnosis.Title(fault.Cause)
}

// maxDetail bounds what is told of a check, which may quote an engine.
const maxDetail = 1 << 10

func (n *node) report(contextName string) report.Check {
	c := report.Check{
		Context:  netprobe.Visible(contextName, maxDetail),
		Category: n.category,
		Name:     n.name,
		Result:   n.outcome.result,
		Detail:   netprobe.Visible(n.outcome.detail, maxDetail),
	}
	if n.outcome.fault != nil && c.Result != report.CheckPass {
		c.Cause = n.outcome.fault.Cause
	}
	return c
}

// finding is that of the check's fault, if it has one.
func (n *node) finding() (report.Finding, bool) {
	if n.outcome.fault == nil {
		return report.Finding{}, false
	}
	fault := *n.outcome.fault
	if fault.Hint == "" {
		fault.Hint = n.hint
	}
	finding := diagnosis.Finding(&fault)
	switch n.outcome.result {
	case report.CheckPass:
		finding.Severity = report.SeverityInfo
	case report.CheckWarning:
		finding.Severity = report.SeverityWarning
	}
	if n.outcome.title != "" {
		finding.Title = netprobe.Visible(n.outcome.title, maxDetail)
	}
	return finding, true
}
