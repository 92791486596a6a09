package refusal

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Fault explains a refusal that an error holds. The error may be nil.
func (r *Refusal) Fault(err error) *report.Fault {
	answer := fmt.Sprintf("%s was answered with %d %s", r.Call, r.Status, http.StatusText(r.Status))
	if words := r.Own(); words != "" {
		answer += ": " + words
	}
	fault := &report.Fault{
		Cause:    APIForbidden,
		Evidence: []string{answer},
		Err:      sentence.Of(err, "%s is forbidden at the Docker endpoint (%d)", r.Call, r.Status),
	}
	if plugin := deniedByPlugin.FindStringSubmatch(r.Words); plugin != nil {
		fault.Err = sentence.Of(err, "%s is forbidden by the authorization plugin %s (%d)", r.Call, plugin[1], r.Status)
	}
	fault.Hint = r.hint()
	return fault
}

// Own are the answer's words without the status, which HAProxy's page begins with.
func (r *Refusal) Own() string {
	words := strings.TrimPrefix(r.Words, fmt.Sprintf("%d %s", r.Status, http.StatusText(r.Status)))
	return strings.TrimSpace(words)
}

// hint says how to have the call allowed, and others.
func (r *Refusal) hint(others ...string) string {
	calls := append([]string{r.Call}, others...)
	const few = 2
	if len(calls) > few && deniedByPlugin.MatchString(r.Words) {
		calls = []string{"these calls"}
	}
	if plugin := deniedByPlugin.FindStringSubmatch(r.Words); plugin != nil {
		return fmt.Sprintf("have the policy of the authorization plugin %s allow %s for this user", plugin[1], strings.Join(calls, ", "))
	}
	return AllowHint(calls...)
}

// Explain turns a refusal into a fault; of joined errors, such as those of a run
// and of its clean-up, each one that is a refusal and no fault yet. More, which may be
// nil, adds to it what else is forbidden.
func Explain(err error, more func(*report.Fault, *Refusal)) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		parts := slices.Clone(joined.Unwrap())
		for i, part := range parts {
			parts[i] = Explain(part, more)
		}
		return errors.Join(parts...)
	}
	refusal := new(Refusal)
	if errors.As(err, new(*report.Fault)) || !errors.As(err, &refusal) {
		return err
	}
	fault := refusal.Fault(err)
	if more != nil {
		more(fault, refusal)
	}
	return fault
}

// AddTo adds the other calls that are forbidden to the fault of a refusal, so that all can
// be allowed at once.
func (r *Refusal) AddTo(fault *report.Fault, tried []TriedCall) {
	var others []string
	for _, t := range tried {
		if t.Refusal != nil && t.Call != r.Call {
			others = append(others, t.Call)
		}
	}
	if len(others) == 0 {
		return
	}
	fault.Evidence = append(fault.Evidence, "forbidden too: "+strings.Join(others, ", "))
	fault.Hint = r.hint(others...)
}

// AllowHint says how to have the usual proxies of Docker's socket allow some calls. Both
// have a variable for the first part of a path, and POST for every method that is neither
// GET nor HEAD (Tecnativa/docker-socket-proxy, haproxy.cfg; linuxserver/docker-socket-proxy,
// root/templates/haproxy.cfg).
func AllowHint(calls ...string) string {
	var settings []string
	add := func(setting string) {
		if !slices.Contains(settings, setting) {
			settings = append(settings, setting)
		}
	}
	for _, call := range calls {
		_, path, _ := strings.Cut(call, " ")
		part, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		add(strings.ToUpper(strings.TrimPrefix(part, "_")) + "=1")
	}
	if slices.ContainsFunc(calls, func(call string) bool { return !strings.HasPrefix(call, "GET ") && !strings.HasPrefix(call, "HEAD ") }) {
		add("POST=1")
	}
	const few = 2
	allowed := "these calls"
	if len(calls) <= few {
		allowed = strings.Join(calls, " and ")
	}
	return fmt.Sprintf("have the proxy in front of the engine allow %s (docker-socket-proxy: set %s in its environment), or use the engine's own socket",
		allowed, strings.Join(settings, " "))
}

// Forbidden returns the fault of the calls that are forbidden among some, one for all; nil
// if there is none.
func Forbidden(tried []TriedCall) *report.Fault {
	i := slices.IndexFunc(tried, func(t TriedCall) bool { return t.Refusal != nil })
	if i < 0 {
		return nil
	}
	fault := tried[i].Refusal.Fault(nil)
	tried[i].Refusal.AddTo(fault, tried)
	return fault
}
