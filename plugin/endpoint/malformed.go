package endpoint

import (
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/hosttext"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// problem is what is wrong with the text of the endpoint, if anything is.
func (o origin) problem() (hosttext.Problem, bool) {
	if o.written == "" {
		return hosttext.Problem{}, false
	}
	home, _ := os.UserHomeDir() // without one, nothing in it was meant
	dir, _ := os.Getwd()
	return hosttext.Read(o.written, hosttext.Place{
		Stored: o.stored(), GOOS: runtime.GOOS, Home: home, Dir: dir,
		Exists: func(path string) bool { _, err := os.Stat(path); return err == nil },
	})
}

// attempt is what came of a text that was perhaps meant.
type attempt struct {
	host  string
	tried bool
	err   error
}

func (a attempt) answers() bool { return a.tried && a.err == nil }

// malformed explains a fault by the text of the endpoint. Docker accepts many texts in
// another sense than the user's. It is nil if the text is right, or if it may be right and
// no other works.
func (r reviewer) malformed(ctx context.Context, fault *report.Fault) *report.Fault {
	problem, wrong := r.problem()
	if !wrong || !slices.Contains(leadsNowhere, fault.Cause) {
		return nil
	}
	tried := r.attempts(ctx, problem)
	best := bestOf(tried)
	if !problem.Sure && !best.answers() {
		note := r.asWritten(problem)
		if taken := r.asTaken(); taken != "" {
			note += ", and " + taken
		}
		fault.Evidence = append(fault.Evidence, note)
		return nil
	}
	return r.malformedFault(problem, best, fault, r.asTaken())
}

// leadsNowhere are the causes that a text may have that leads to another place than it was
// meant to.
var leadsNowhere = []report.Cause{
	connection.EngineUnreachable, connection.DockerSocketMissing, connection.EndpointIsLoopback,
	connection.SocketPathNotOnEngine, connection.TLSRequired,
}

// attempts try all texts that were perhaps meant at once, but for those with ssh, which
// takes too long and may ask for a password.
func (r reviewer) attempts(ctx context.Context, problem hosttext.Problem) []attempt {
	tried := make([]attempt, len(problem.Meant))
	var group sync.WaitGroup
	for i, host := range problem.Meant {
		tried[i].host = host
		if strings.HasPrefix(host, "ssh://") {
			continue
		}
		group.Go(func() { tried[i].tried, tried[i].err = true, r.try(ctx, host) })
	}
	group.Wait()
	return tried
}

// bestOf is the first attempt that an engine answers, or else the likeliest.
func bestOf(tried []attempt) attempt {
	for _, a := range tried {
		if a.answers() {
			return a
		}
	}
	if len(tried) == 0 {
		return attempt{}
	}
	return tried[0]
}

func (r reviewer) asWritten(problem hosttext.Problem) string {
	return r.String() + " " + hosttext.Redacted(problem.What)
}

// asTaken is what docker makes of the text; empty if that is what is written.
func (r reviewer) asTaken() string {
	if r.settings.Host == hosttext.Redacted(r.written) {
		return ""
	}
	return "docker takes it for " + r.settings.Host
}

// refused is the fault of a text that docker does not accept, if the text says why, and
// else the given one. Nothing is dialled.
func (r reviewer) refused(fault *report.Fault) *report.Fault {
	problem, wrong := r.problem()
	if !wrong {
		return fault
	}
	best := attempt{}
	if len(problem.Meant) > 0 {
		best.host = problem.Meant[0]
	}
	return r.malformedFault(problem, best, fault, "docker refuses it")
}

// malformedFault is the fault of a text that docker takes for something else, or does not
// accept, given as a part of a sentence; empty if it takes it as it is.
func (r reviewer) malformedFault(problem hosttext.Problem, best attempt, found *report.Fault, docker string) *report.Fault {
	evidence, what := []string{"written: " + sentence.Visible(r.String())}, r.asWritten(problem)
	if docker != "" {
		evidence, what = append(evidence, docker), what+", and "+docker
	}
	fault := &report.Fault{
		Cause:    connection.EndpointMalformed,
		Evidence: append(evidence, found.Evidence...),
		Hint:     "write it as unix:///PATH, tcp://HOST:PORT or ssh://USER@HOST",
		Err:      sentence.Of(found.Err, "%s", what),
	}
	if best.host == "" {
		return fault
	}
	tls := sameTLS
	fault.Hint = r.advice(best.host)
	if problem.TLS && !r.settings.TLS {
		tls = turnOnTLS
		fault.Hint += ", and turn TLS on"
	}
	fault.Commands = r.commands(best.host, tls)
	switch {
	case best.answers():
		fault.Evidence = append(fault.Evidence, "an engine answers at "+best.host)
	case best.tried:
		r.addNext(fault, best)
	}
	return fault
}

// addNext adds what stands between the right text and an engine.
func (r reviewer) addNext(fault *report.Fault, best attempt) {
	cause, what := causeOf(best.err)
	fault.Evidence = append(fault.Evidence, "tried "+best.host+": "+what)
	var next *report.Fault
	if cause == "" || !errors.As(best.err, &next) || next.Hint == "" {
		return
	}
	fault.Hint += ", and then " + next.Hint
	for _, command := range next.Commands {
		if !slices.Contains(fault.Commands, command) {
			fault.Commands = append(fault.Commands, command)
		}
	}
}
