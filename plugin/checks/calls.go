package checks

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/bounds"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/refusal"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// callChecks try the calls of the API that nestprobe needs, in a way that changes nothing
// on the engine.
var callChecks = category("API calls", []check{
	{name: "needed calls", dependsOn: []string{"API versions"}, run: (*state).checkNeededCalls},
	{name: "calls of options", dependsOn: []string{"needed calls"}, run: (*state).checkCallsOfOptions},
})

func (s *state) checkNeededCalls(ctx context.Context) (checkResult, error) {
	s.tried = s.connection.TryCalls(ctx, bounds.AnswerTime)
	needed := refusal.Needed(s.tried)
	if slices.ContainsFunc(needed, func(t refusal.TriedCall) bool { return t.Refusal != nil }) {
		fault := refusal.Forbidden(s.tried)
		allowed := slices.DeleteFunc(slices.Clone(s.tried), func(t refusal.TriedCall) bool { return t.Refusal != nil || t.Err != nil })
		return checkResult{
			status: report.CheckFailure,
			detail: fmt.Sprintf("%s; allowed: %s", describeFault(fault), cmp.Or(strings.Join(namesOf(allowed), ", "), "none of the others")),
			fault:  fault,
		}, nil
	}
	if fault := connection.Unanswered(needed, bounds.AnswerTime); fault != nil {
		return checkResult{}, fault
	}
	if unknown := unknownCalls(needed); len(unknown) > 0 {
		return inconclusive("not known whether these are allowed: %s", strings.Join(unknown, "; "))
	}
	return pass("%d of %d allowed: %s", len(needed), len(needed), strings.Join(namesOf(needed), ", "))
}

// checkCallsOfOptions looks at the calls that only some options need, or some images.
func (s *state) checkCallsOfOptions(context.Context) (checkResult, error) {
	optional := slices.DeleteFunc(slices.Clone(s.tried), func(t refusal.TriedCall) bool { return t.For == "" })
	fault := refusal.Forbidden(optional)
	if unknown := unknownCalls(optional); fault == nil && len(unknown) > 0 {
		return inconclusive("not known whether these are allowed: %s", strings.Join(unknown, "; "))
	}
	if fault == nil {
		return pass("%d of %d allowed: %s", len(optional), len(optional), strings.Join(namesOf(optional), ", "))
	}
	var forbidden []string
	for _, t := range optional {
		if t.Refusal != nil {
			forbidden = append(forbidden, fmt.Sprintf("%s (for %s)", t.Call, t.For))
		}
	}
	return warn(fault, "forbidden: %s", strings.Join(forbidden, ", "))
}

// unknownCalls are the calls that were not answered, each with the reason.
func unknownCalls(tried []refusal.TriedCall) []string {
	var unknown []string
	for _, t := range tried {
		if t.Err != nil {
			unknown = append(unknown, fmt.Sprintf("%s: %v", t.Call, t.Err))
		}
	}
	return unknown
}

func namesOf(tried []refusal.TriedCall) []string {
	names := make([]string, len(tried))
	for i, t := range tried {
		names[i] = t.Call
	}
	return names
}

// afterwards looks at what the other checks have seen of the calls.
func (s *state) afterwards() []*task {
	if s.connection == nil {
		return nil
	}
	speed := &task{check: check{category: callChecks[0].category, name: "speed"}, result: speedOf(s.connection.Calls())}
	finding, ok := s.connection.Omitted.Finding()
	if !ok {
		return []*task{speed}
	}
	details := &task{check: check{category: callChecks[0].category, name: "details"}, result: checkResult{
		status: report.CheckWarning,
		detail: strings.Join(finding.Evidence, "; "),
		fault:  &report.Fault{Cause: finding.Cause, Evidence: finding.Evidence, Hint: finding.Hint},
		title:  finding.Title,
	}}
	return []*task{details, speed}
}

// slow is how long an answer takes that gets a warning. A local engine answers its slowest
// call, /info, within 20 ms, and one over ssh within a second.
const slow = 1500 * time.Millisecond

// speedOf says which calls were answered slowly. Pings are none of them: the first one may
// have started the engine.
func speedOf(calls []connection.Call) checkResult {
	var late []string
	longest := map[string]time.Duration{}
	for _, c := range calls {
		if strings.HasSuffix(c.Name, "/_ping") {
			continue
		}
		if c.Took >= slow && longest[c.Name] == 0 {
			late = append(late, c.Name)
		}
		longest[c.Name] = max(longest[c.Name], c.Took)
	}
	if len(late) == 0 {
		var slowest time.Duration
		for _, took := range longest {
			slowest = max(slowest, took)
		}
		return checkResult{status: report.CheckPass, detail: fmt.Sprintf("%d calls, the slowest answered in %s", len(calls), slowest.Round(time.Millisecond))}
	}
	slices.Sort(late)
	fault := &report.Fault{
		Cause: connection.EngineUnreachable,
		Hint:  "look at the load of the engine's host, and at the way there: other clients of the engine wait as long",
	}
	for i, name := range late {
		late[i] = fmt.Sprintf("%s %s", name, longest[name].Round(100*time.Millisecond))
	}
	fault.Evidence = []string{"time to the answer: " + strings.Join(late, ", ")}
	return checkResult{
		status: report.CheckWarning,
		detail: fmt.Sprintf("slow, more than %s: %s", slow, strings.Join(late, ", ")),
		fault:  fault,
		title:  "The engine answers, but slowly",
	}
}
