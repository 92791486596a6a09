package connection

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"

	"github.com/docker/docker/client"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/bounds"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/errno"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/refusal"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Explain turns an error of the Docker API into a [*report.Fault] if its type or
// error number says what the cause is: the connection to the engine is lost, the
// socket may not be opened, the certificate does not verify. It returns any other
// error unchanged, such as the engine's own answers and the end of a context.
// [Connection.Explain] knows more, because it can ping the engine.
func Explain(err error) error {
	var known *report.Fault
	err = bounds.Explain(err, func(e *bounds.Error, err error) *report.Fault { return e.Fault(err, "") })
	if refusal.Is(err) {
		return refusal.Explain(err, nil)
	}
	if err == nil || errors.As(err, &known) {
		return err
	}
	if fault := classify(err); fault != nil {
		return fault
	}
	if !isLost(err) {
		return err
	}
	return unreachable(sentence.Of(err, "the connection to the engine is lost"),
		"check that the engine is running and try again", "the client said: "+err.Error())
}

// unreachable is the fault of an endpoint at which no engine answers.
func unreachable(why error, hint string, evidence ...string) *report.Fault {
	return &report.Fault{Cause: EngineUnreachable, Evidence: evidence, Hint: hint, Err: why}
}

// isLost says whether an API call failed without an answer of the engine. Of joined
// errors one is enough, since another may be that the clean-up ran out of time.
func isLost(err error) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return slices.ContainsFunc(joined.Unwrap(), isLost)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	return client.IsErrConnectionFailed(err) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) ||
		netprobe.ConnectFailure(err) == netprobe.Reset
}

// Explain is the function [Explain], but pings the engine again if the error does
// not decide: docker's client drops the reason of most failed connections, and an
// engine refuses an API version only with the first call. It takes one round trip,
// or the time of [Open] for an unreachable endpoint, bounded by ctx.
func (c *Connection) Explain(ctx context.Context, err error) error {
	var known *report.Fault
	if ctx.Err() == nil {
		err = bounds.Explain(err, c.exceeded)
	}
	if refusal.Is(err) && ctx.Err() == nil {
		return refusal.Explain(err, func(fault *report.Fault, refused *refusal.Refusal) {
			refused.AddTo(fault, refusal.Needed(c.TryCalls(ctx, measureTimeout)))
		})
	}
	if err == nil || errors.As(err, &known) || ctx.Err() != nil {
		return err
	}
	if !isLost(err) {
		return c.explainRefusal(ctx, err)
	}
	_, now := c.ping(ctx, &tracer{})
	var fault *report.Fault
	if errors.As(now, &fault) {
		fault.Evidence = append(fault.Evidence, "before that, the client said: "+err.Error())
		return fault
	}
	if now != nil {
		return err // cancelled during the ping
	}
	if fault := c.refusedBeforeItWasRead(ctx, err); fault != nil {
		return fault
	}
	fault = unreachable(sentence.Of(err, "the engine at %s closed the connection", c.settings.Host),
		"it answers again now, so run the command once more",
		"the client said: "+err.Error(), "the engine answers a ping now")
	return c.settings.withEndpoint(fault, netprobe.PhaseRequest)
}

// exceeded explains a call that exceeded its bounds.
func (c *Connection) exceeded(e *bounds.Error, err error) *report.Fault {
	return c.settings.withEndpoint(e.Fault(err, c.settings.use().source), netprobe.PhaseRequest)
}

// refusedBeforeItWasRead is for a proxy that forbids a call and closes the connection
// while the request is still being sent, such as an image: its answer is lost.
func (c *Connection) refusedBeforeItWasRead(ctx context.Context, err error) error {
	fault := refusal.Forbidden(refusal.Needed(c.TryCalls(ctx, measureTimeout)))
	if fault == nil {
		return nil
	}
	fault.Evidence = append(fault.Evidence, "before that, the connection was closed, and the client said: "+err.Error())
	return fault
}

// classify names the cause of an error by its types and errno, or returns nil.
func classify(err error) *report.Fault {
	for _, known := range []func(error) *report.Fault{sshFault, socketFault, tlsFault, dialFault} {
		if fault := known(err); fault != nil {
			return fault
		}
	}
	return nil
}

// dialFault explains a failed lookup or connect that is not of a unix socket.
func dialFault(err error) *report.Fault {
	var lookup *net.DNSError
	if errors.As(err, &lookup) {
		return lookupFault(err, lookup)
	}
	var op *net.OpError
	if !errors.As(err, &op) || (op.Op != "dial" && op.Op != "proxyconnect") {
		return nil
	}
	at := "the endpoint"
	if op.Addr != nil {
		at = op.Addr.String()
	}
	if errno.Forbidden(err) {
		return unreachable(sentence.Of(err, "this machine forbids connecting to %s", at), "check its routes and its firewall")
	}
	why := sentence.Of(err, "connecting to %s did not succeed (%s)", at, op.Err)
	hint := "check the address, and that the engine is running and listens there"
	switch netprobe.ConnectFailure(err) {
	case netprobe.Refused:
		why = sentence.Of(err, "connection to %s refused, nothing listens there", at)
	case netprobe.Unreachable:
		why = sentence.Of(err, "%s is unreachable (%s)", at, netprobe.UnreachableReason(err))
		hint = "check the address, the network and the VPN"
	case netprobe.ConnectTimeout:
		why = sentence.Of(err, "connecting to %s timed out, its packets are lost or dropped", at)
		hint = "check the address, the network and the firewalls between"
	case netprobe.Reset:
		why = sentence.Of(err, "%s reset the connection immediately", at)
	}
	return unreachable(why, hint)
}

func lookupFault(err error, lookup *net.DNSError) *report.Fault {
	evidence := fmt.Sprintf("looked up: %q, not found %t, timed out %t", lookup.Name, lookup.IsNotFound, lookup.IsTimeout)
	if lookup.IsNotFound {
		return unreachable(sentence.Of(err, "the name %q is not known", lookup.Name), "check the endpoint's host name", evidence)
	}
	return unreachable(sentence.Of(err, "the name %q could not be looked up", lookup.Name),
		"check this machine's name servers, or give the endpoint by address", evidence)
}

// withEndpoint puts the endpoint and the phase reached before the other evidence of a
// fault.
func (s Settings) withEndpoint(fault *report.Fault, reached netprobe.Phase, more ...string) *report.Fault {
	evidence := []string{
		fmt.Sprintf("endpoint: %s, %s", s.Host, s.use().source),
		"phase reached: " + string(reached),
	}
	fault.Evidence = slices.Concat(evidence, more, fault.Evidence)
	return fault
}

// isTimeout says whether an error is a timeout. The same timeout can show as
// context.DeadlineExceeded or as os.ErrDeadlineExceeded.
func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, errPending) || (errors.As(err, &timeout) && timeout.Timeout())
}
