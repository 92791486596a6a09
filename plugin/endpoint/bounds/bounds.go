// Package bounds limits the calls of the Docker API: how long each may take, and how much
// the other side may send. A [Transport] below docker's client applies the limits to every
// call of the plugin and of the agent. A call that exceeds one ends with an [*Error].
//
// The connection uses it. It must not open connections itself, and must not know which
// calls a command can go on without.
package bounds

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/docker/docker/api/types/versions"
)

// Limits are the bounds of calls. They are fields so that tests can shorten them.
type Limits struct {
	Connect time.Duration // to get a connection, before the others begin
	Answer  time.Duration // the whole answer to a call that changes nothing; the header of a stream
	Change  time.Duration // the whole answer to a call that changes something
	Idle    time.Duration // of a pull or an image load: without a byte sent, or a message received
	Notice  time.Duration // after which the user reads what is being waited for
	Bytes   int64         // of a whole answer
}

// Times of calls. An engine that answers at all answers its slowest call that changes
// nothing, /info, within 20 ms; a busy one was seen to take seconds. Creating and starting
// containers waits for its disk, its firewall and other containers: a command that waits for
// one such call, and then removes what it made, ends within a minute.
const (
	AnswerTime = 10 * time.Second
	ChangeTime = 50 * time.Second
	idleTime   = 30 * time.Second
	noticeTime = 5 * time.Second
)

// Sizes of answers, in bytes. A list of 1,000 containers has 1.5 MB.
const (
	maxAnswer   = 16 << 20
	maxChange   = 1 << 20   // the answer to a call that changes something: an id, warnings, an error
	maxMessage  = 1 << 20   // of a pull or an image load
	maxTransfer = 256 << 20 // all its messages: those of a day
	maxWait     = 64 << 10  // an exit status
	// MaxHeader bounds the header of an answer. Engines send less than 1 KiB.
	MaxHeader = 256 << 10
)

// Defaults returns the limits of the commands.
func Defaults() Limits {
	return Limits{Connect: AnswerTime, Answer: AnswerTime, Change: ChangeTime, Idle: idleTime, Notice: noticeTime, Bytes: maxAnswer}
}

// kind is what a call is bounded by.
type kind int

const (
	query    kind = iota // the whole answer by Limits.Answer
	change               // the whole answer by Limits.Change
	transfer             // Limits.Idle
	wait                 // the header by Limits.Answer, the rest by its caller
	stream               // the same, and its size by whoever reads it
	late                 // wholly by its caller: the first ping, and a wait that has no header until its end
)

// waitHeaderSince is the API version from which on a wait is acknowledged with a header
// (moby, api/server/router/container/container_routes.go, postContainersWait).
const waitHeaderSince = "1.30"

var apiVersion = regexp.MustCompile(`/v(\d+\.\d+)/`)

func kindOf(method string, at *url.URL) kind {
	is := func(wanted, suffix string) bool { return method == wanted && strings.HasSuffix(at.Path, suffix) }
	switch {
	case strings.HasSuffix(at.Path, "/_ping"):
		return late
	case is(http.MethodPost, "/wait"):
		if found := apiVersion.FindStringSubmatch(at.Path); found != nil && versions.LessThan(found[1], waitHeaderSince) {
			return late
		}
		return wait
	case is(http.MethodGet, "/events"), is(http.MethodGet, "/logs") && at.Query().Get("follow") == "1":
		return stream
	case is(http.MethodPost, "/images/create"), is(http.MethodPost, "/images/load"), is(http.MethodPut, "/archive"):
		return transfer
	case method == http.MethodGet, method == http.MethodHead:
		return query
	default: // also an attachment, until it switches to the streams: Podman prepares the start before
		return change
	}
}

// time is how long a call of this kind may take until its header; 0 if its caller bounds it.
func (l Limits) time(k kind) time.Duration {
	switch k {
	case change:
		return l.Change
	case transfer:
		return l.Idle
	case late:
		return 0
	default:
		return l.Answer
	}
}

// bytes is how large the answer to a call of this kind may be; 0 if whoever reads it bounds it.
func (l Limits) bytes(k kind) int64 {
	switch k {
	case change:
		return min(l.Bytes, maxChange)
	case transfer:
		return maxTransfer
	case wait:
		return maxWait
	case stream:
		return 0
	default:
		return l.Bytes
	}
}
