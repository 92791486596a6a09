package engine

import (
	"crypto/rand"
	"encoding/hex"
	"time"
)

// Everything that nestprobe makes on an engine has these labels. Nothing without them is
// ever removed.
const (
	LabelRun      = "io.nestprobe.run"
	LabelDeadline = "io.nestprobe.deadline"
	// LabelRunner has the ID of the container that starts servers on demand. As long as that
	// container runs, the deadline of what it has made does not count: labels of a container
	// cannot be changed.
	LabelRunner = "io.nestprobe.runner"
)

// noDeadline is the deadline of what the user keeps.
const noDeadline = "never"

// DeadlineMargin is how long a run may take besides the wait for its servers: to load
// images, create networks and containers, complete the last attempts, and clean up.
const DeadlineMargin = 30 * time.Second

// Labels name one run and the time after which its leftovers may be removed.
type Labels struct {
	Run      string
	Lifetime time.Duration
	Runner   string // see LabelRunner; empty if there is none
	end      string // of the lifetime, in RFC 3339
	deadline string // the same, or noDeadline
}

// NewID returns an id for a run. It is unlikely that another run on the same engine has
// it: of 100 runs in parallel, two have the same id once in a million times.
func NewID() string { return NewToken(4) }

// NewLabels returns the labels of a run whose leftovers may be removed when its lifetime
// is over; never, if they are kept.
func NewLabels(id string, now time.Time, lifetime time.Duration, kept bool) Labels {
	l := Labels{Run: id, Lifetime: lifetime, end: now.Add(lifetime).UTC().Format(time.RFC3339)}
	l.deadline = l.end
	if kept {
		l.deadline = noDeadline
	}
	return l
}

// Values returns the labels as the API takes them.
func (l Labels) Values() map[string]string {
	return l.values(l.deadline)
}

// helperValues returns the labels of a helper, which has a deadline even if the servers
// are kept.
func (l Labels) helperValues() map[string]string {
	return l.values(l.end)
}

func (l Labels) values(deadline string) map[string]string {
	values := map[string]string{LabelRun: l.Run, LabelDeadline: deadline}
	if l.Runner != "" {
		values[LabelRunner] = l.Runner
	}
	return values
}

// hasPassed says whether a deadline label is before now. It is false for a label that
// is not a time, such as noDeadline.
func hasPassed(deadline string, now time.Time) bool {
	t, err := time.Parse(time.RFC3339, deadline)
	return err == nil && t.Before(now)
}

// IdentityBytes is the size of an identity, in bytes, that cannot be guessed.
const IdentityBytes = 16

// NewToken returns n random bytes in hexadecimal.
func NewToken(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never returns an error (crypto/rand, since Go 1.24)
	return hex.EncodeToString(b)
}
