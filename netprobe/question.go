package netprobe

import (
	"net"
	"net/http"
	"slices"
	"time"
)

// Way is how an address is probed again after its first answer was not the expected
// one.
type Way string

// The ways to probe an address again.
const (
	AskPlain  Way = "plain-http"     // over plain HTTP, after TLS has failed
	AskTLS    Way = "tls"            // over TLS, with any certificate
	AskHTTP2  Way = "http2"          // with HTTP/2 from the first byte on
	AskListen Way = "listen"         // over TCP, with nothing sent
	AskHost   Way = "host-header"    // with another Host header
	AskLonger Way = "longer"         // with a longer time limit
	AskSmall  Way = "small-segments" // with small TCP segments
)

// Question is one more probe of an address, which may prove why the first one failed.
type Question struct {
	Way  Way
	Host string // for AskHost: the Host header
	Race Race   // of one attempt, made once
}

// Bounds of the longer time limit: a multiple of the first one, as long as a user still
// waits for.
const (
	longerFactor = 10
	longestLimit = 15 * time.Second
)

// SmallSegment is a segment size, in bytes, that every network carries: the default
// maximum of TCP over IPv4 (RFC 9293, section 3.7.1), which is less than that over IPv6.
const SmallSegment = 536

// maxHosts bounds how many Host headers are tried.
const maxHosts = 4

// Questions returns the ways to probe the target again that may prove why its answer
// was not the expected one. Terms are those of the first probe. Names are what the
// server may be called in a Host header; localhost is always tried. There is no
// question if the failure is proof enough, if another probe cannot decide it, or if the
// probe sent no request.
func (t Target) Questions(first Result, terms Race, names []string) []Question {
	noRequest := t.scheme() == TCP && t.Expect.Body == "" && t.Identity == ""
	if first.OK || first.Identity == IdentityMismatch || noRequest {
		return nil
	}
	a := asker{target: t, terms: terms}
	switch {
	case first.Failure == NoResponse || first.Failure == StalledBody:
		a.askForSilence(first.Phase)
	case t.scheme() == HTTPS:
		a.askBesideTLS(first.Failure)
	case t.scheme() == HTTP:
		a.askBesideHTTP(first)
	}
	if t.scheme() != TCP && first.Failure == UnexpectedStatus {
		a.askHosts(first.Status, names)
	}
	return a.questions
}

// asker collects the questions for one target.
type asker struct {
	target    Target
	terms     Race // without attempts
	questions []Question
}

// add adds a question, and returns its race and target to change them.
func (a *asker) add(way Way) (*Race, *Target) {
	race := a.terms
	race.Wait, race.Once, race.Attempts = 0, true, []Attempt{{Target: a.target}}
	a.questions = append(a.questions, Question{Way: way, Race: race})
	return &a.questions[len(a.questions)-1].Race, &race.Attempts[0].Target
}

// askForSilence is for a server that accepted the connection, and sent nothing or not
// all of its answer.
func (a *asker) askForSilence(phase Phase) {
	limit := a.terms.Timeout
	if limit <= 0 {
		limit = DefaultTimeout
	}
	if longer := min(longerFactor*limit, longestLimit); longer > limit {
		race, _ := a.add(AskLonger)
		race.Timeout = longer
	}
	if a.target.scheme() != TCP && CanLimitSegments() {
		race, _ := a.add(AskSmall)
		race.MaxSegment = SmallSegment
	}
	if phase == PhaseTLS { // a server that waits for the end of a line
		a.askPlain()
	}
}

// askBesideTLS is for a server that did not answer TLS with TLS, or within TLS not with
// HTTP/1.
func (a *asker) askBesideTLS(failure Failure) {
	switch failure {
	case TLSOnPlainPort:
		a.askPlain()
		a.askListen()
	case TLSClosed:
		a.askPlain()
		a.askHTTP2(H2C)
	case ClosedWithoutResponse, NotHTTP:
		a.askHTTP2(H2)
	}
}

func (a *asker) askPlain() {
	_, target := a.add(AskPlain)
	target.Scheme, target.WebSocket = HTTP, ""
}

// askListen is for a server that may have said all it has to say before it was asked.
func (a *asker) askListen() {
	_, target := a.add(AskListen)
	target.Scheme, target.Expect, target.Identity = TCP, Expect{}, ""
}

func (a *asker) askHTTP2(scheme Scheme) {
	race, target := a.add(AskHTTP2)
	target.Scheme, race.SkipVerify = scheme, true
}

// askBesideHTTP is for a server that answered plain HTTP with something else, with
// nothing, or with a status that says that it expects another protocol.
func (a *asker) askBesideHTTP(first Result) {
	closed := first.Failure == ClosedWithoutResponse && !first.Phase.After(PhaseAnswer)
	foreign := closed || first.Failure == NotHTTP
	if foreign || first.Status == http.StatusBadRequest {
		race, target := a.add(AskTLS)
		target.Scheme, target.WebSocket, race.SkipVerify = HTTPS, "", true
	}
	if first.Failure == NotHTTP && first.Status == 0 {
		a.askListen()
	}
	protocol := []int{http.StatusBadRequest, http.StatusUpgradeRequired, http.StatusHTTPVersionNotSupported}
	if foreign || slices.Contains(protocol, first.Status) {
		a.askHTTP2(H2C)
	}
}

// askHosts is for a server that may refuse a Host header: an address that is not among
// the names that it is configured for.
func (a *asker) askHosts(status int, names []string) {
	refusals := []int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusMisdirectedRequest}
	if !slices.Contains(refusals, status) {
		return
	}
	own, _, _ := net.SplitHostPort(a.target.Address)
	asked := []string{"", own, a.target.host()}
	for _, name := range append([]string{"localhost"}, names...) {
		if slices.Contains(asked, name) || len(asked) == maxHosts+3 {
			continue
		}
		asked = append(asked, name)
		_, target := a.add(AskHost)
		*target = target.WithHost(name)
		a.questions[len(a.questions)-1].Host = name
	}
}
