package connection

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/errdefs"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/bounds"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/refusal"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Omitted are the calls of the API that only add detail, such as /info, and that did not
// succeed: the command goes on without them. A nil Omitted goes on without nothing. Its
// methods may be called from several goroutines.
type Omitted struct {
	mu      sync.Mutex
	calls   []omittedCall
	assumed []string
}

type omittedCall struct {
	name    string
	why     string
	refused bool
}

// Note says whether a command can go on without the answer to a call, and if so, notes the
// call. It can not if the call succeeded or exceeded its bounds, if ctx has ended, or if the
// engine was lost.
func (o *Omitted) Note(ctx context.Context, call string, err error) bool {
	if o == nil || err == nil || ctx.Err() != nil {
		return false
	}
	noted := omittedCall{name: call}
	refused := new(refusal.Refusal)
	switch {
	case errors.As(err, &refused):
		noted = omittedCall{refused.Call, fmt.Sprintf("forbidden (%d) %s", refused.Status, refused.Own()), true}
	case bounds.Is(err), errdefs.IsNotFound(err), errdefs.IsInvalidArgument(err):
		return false
	case errors.Is(err, context.DeadlineExceeded): // of a program's own client, which has no bounds
		noted.why = fmt.Sprintf("no answer within %s", bounds.AnswerTime)
	case isLost(err):
		return false
	default:
		noted.why = sentence.Visible(err.Error())
	}
	noted.why = strings.TrimSpace(noted.why)
	o.mu.Lock()
	defer o.mu.Unlock()
	if !slices.ContainsFunc(o.calls, func(c omittedCall) bool { return c.name == noted.name }) {
		o.calls = append(o.calls, noted)
	}
	return true
}

// Adopt notes the calls of a warning of another process's Omitted, so that one warning
// names all. It returns the findings without that warning.
func (o *Omitted) Adopt(findings []report.Finding) []report.Finding {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.DeleteFunc(findings, func(f report.Finding) bool {
		if f.Severity != report.SeverityWarning || f.Title != omittedTitle {
			return false
		}
		for _, line := range f.Evidence {
			call, why, isCall := strings.Cut(line, ": ")
			switch {
			case !isCall && !slices.Contains(o.assumed, line):
				o.assumed = append(o.assumed, line)
			case isCall && !slices.ContainsFunc(o.calls, func(c omittedCall) bool { return c.name == call }):
				o.calls = append(o.calls, omittedCall{call, why, strings.HasPrefix(why, "forbidden (")})
			}
		}
		return true
	})
}

const omittedTitle = "Calls of the API that only add detail did not succeed"

// assume adds what was taken for granted without the answers.
func (o *Omitted) assume(what string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !slices.Contains(o.assumed, what) {
		o.assumed = append(o.assumed, what)
	}
}

// Finding returns one warning that names all calls; false if there is none.
func (o *Omitted) Finding() (report.Finding, bool) {
	if o == nil {
		return report.Finding{}, false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.calls) == 0 {
		return report.Finding{}, false
	}
	fault := &report.Fault{
		Cause: EngineUnreachable,
		Hint:  "what was measured does not depend on them; look at the engine's log for why it does not answer them",
	}
	var refused []string
	slices.SortFunc(o.calls, func(a, b omittedCall) int { return strings.Compare(a.name, b.name) })
	for _, c := range o.calls {
		fault.Evidence = append(fault.Evidence, c.name+": "+c.why)
		if c.refused {
			refused = append(refused, c.name)
		}
	}
	fault.Evidence = append(fault.Evidence, o.assumed...)
	if len(refused) > 0 {
		fault.Cause, fault.Hint = APIForbidden, "what was measured does not depend on them; to know more, "+refusal.AllowHint(refused...)
	}
	finding := fault.Finding()
	finding.Severity = report.SeverityWarning
	finding.Title = omittedTitle
	return finding, true
}
