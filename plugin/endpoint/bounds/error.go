package bounds

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// EngineUnreachable is the cause of an Error.
const EngineUnreachable report.Cause = "engine-unreachable"

// Error is a call of the Docker API that exceeded a bound, or that was answered with a
// redirect. It is no timeout in the sense of net.Error: docker's client replaces such errors
// by its own, which do not say which call it was.
type Error struct {
	Call    string // such as "GET /info"
	message string
	seen    string // evidence
	hint    string
	cause   error // the end of the caller's time; nil for a bound of this package
}

// Error says which call it was, and what was waited for or received.
func (e *Error) Error() string { return e.message }

// Unwrap returns context.DeadlineExceeded if it was the caller who bounded the call.
func (e *Error) Unwrap() error { return e.cause }

// Late returns the error of a call whose caller has waited for something in vain. The
// sentence says for what, such as "no output of container x".
func Late(call, sentence string, waited time.Duration) error {
	return newLate(call, "%s within %s", sentence, seconds(waited))
}

const (
	stuckHint = "look at the engine's log for why it does not answer, and restart it if it is stuck"
	otherHint = "check that a Docker engine is at the endpoint"
)

func newLate(call, format string, values ...any) *Error {
	message := fmt.Sprintf(format, values...)
	return &Error{Call: call, message: message, seen: message, hint: stuckHint}
}

func newWrong(call, format string, values ...any) *Error {
	seen := fmt.Sprintf(format, values...)
	return &Error{Call: call, message: "the answer to " + call + " " + seen, seen: "the answer " + seen, hint: otherHint}
}

// refusedAnswer returns the error of an answer that is a redirect, or that switches protocols
// though the call did not ask for it; nil if it is neither.
func refusedAnswer(call string, response *http.Response) *Error {
	switch response.StatusCode {
	case http.StatusSwitchingProtocols:
		return newWrong(call, "switches to another protocol")
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil
	}
	to := "no address"
	if location := response.Header.Get("Location"); location != "" {
		to = sentence.Visible(location)
	}
	return &Error{
		Call:    call,
		message: fmt.Sprintf("the endpoint answers %s with a redirect to %s, so it is not a Docker engine", call, to),
		seen:    fmt.Sprintf("%d %s, Location: %s", response.StatusCode, http.StatusText(response.StatusCode), to),
		hint:    "set the endpoint to the address of the engine itself; redirects are not followed",
	}
}

// Is says whether an error is a call that exceeded a bound or was redirected.
func Is(err error) bool { return errors.As(err, new(*Error)) }

// Fault explains an Error that err holds. Source says which setting the endpoint is from;
// empty if that is not known.
func (e *Error) Fault(err error, source string) *report.Fault {
	fault := &report.Fault{Cause: EngineUnreachable, Hint: e.hint, Evidence: []string{e.Call + ": " + e.seen}, Err: sentence.Of(err, "%s", e.message)}
	if strings.HasPrefix(source, "from ") && e.hint != stuckHint {
		fault.Hint += " (the endpoint is " + source + ")"
	}
	return fault
}

// Explain turns an Error into the fault that toFault returns for it and for the error that
// holds it; of joined errors, such as those of a run and of its clean-up, each one that
// holds an Error and no fault yet. It returns other errors unchanged.
func Explain(err error, toFault func(*Error, error) *report.Fault) error {
	if !Is(err) {
		return err
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		parts := slices.Clone(joined.Unwrap())
		for i, part := range parts {
			parts[i] = Explain(part, toFault)
		}
		return errors.Join(parts...)
	}
	exceeded := new(Error)
	if errors.As(err, new(*report.Fault)) || !errors.As(err, &exceeded) {
		return err
	}
	return toFault(exceeded, err)
}

// seconds prints a bound, as in 60s.
func seconds(d time.Duration) string { return fmt.Sprintf("%gs", d.Seconds()) }
