package diagnosis

import (
	"slices"
	"time"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// ServerSilent holds if the server accepts the connection and does not answer within the
// time limit: later than that, or not at all.
var ServerSilent = define("server-silent", serverState, definition{
	title:  "The server accepts connections and does not answer in time",
	needs:  secondAnswers,
	second: true,
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		for _, a := range c.Asked(r, netprobe.AskLonger) {
			switch {
			case a.Result.OK || a.Result.Status != 0 && !stalls(&a.Result):
				return slow(a)
			case isSilent(a.Result.Failure, a.Result.Phase) && c.accepts(r) && c.answersInSmallSegments(r) == nil:
				return c.silent(a)
			}
		}
		return nil
	},
})

// slow is the fault of a server that answers after the time limit.
func slow(a *facts.SecondAnswer) *report.Fault {
	took := a.Result.Timings.Total.Round(10 * time.Millisecond)
	fault := because("given up to %s, the answer at %s was complete after %s: %s", a.Limit(), a.Address, took, a.Result.Detail)
	suggest(fault, "the server is slow: it needs about %s for an answer, so allow more time for each attempt", took)
	return fault
}

// silent is the fault of a server that does not answer with more time either.
func (c *vantageCase) silent(a *facts.SecondAnswer) *report.Fault {
	fault := because("asked again with a time limit of %s, the server accepted the connection at %s and sent nothing", a.Limit(), a.Address)
	fault.Evidence = append(fault.Evidence, c.Server.Log...)
	fault.Hint = "find out what the server waits for, such as busy workers, a database or the end of a request, or allow more time for each attempt"
	if !c.Server.StartedByUs && !c.Server.Host {
		fault.Commands = []string{commandFor(c.Server, "docker logs"), commandFor(c.Server, "docker top")}
	}
	return fault
}

// isSilent says whether a connection was accepted, and then not a byte came, of TLS
// neither.
func isSilent(failure netprobe.Failure, phase netprobe.Phase) bool {
	return failure == netprobe.NoResponse && (phase == netprobe.PhaseRequest || phase == netprobe.PhaseTLS)
}

// accepts says whether the server has accepted the connection: the witness saw it, or, if
// nobody looked, one to the container's address or name was established. A port forwarder
// accepts without the server.
func (c *vantageCase) accepts(r evidence.Row) bool {
	if seen := c.Seen(r); seen != "" {
		return seen == facts.SeenAccepted || seen == facts.SeenDeferred
	}
	return slices.ContainsFunc(c.AllProbes, func(p report.Probe) bool {
		direct := p.Kind == report.KindContainerIP || p.Kind == report.KindContainerName
		return direct && isSilent(p.Failure, p.Phase) && p.Identity != netprobe.IdentityMismatch
	})
}
