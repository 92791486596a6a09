package engine

import (
	"crypto/rand"
	"encoding/hex"
	"time"
)

// The labels that everything nestprobe makes on an engine carries. Nothing
// without them is ever removed.
const (
	LabelRun      = "io.nestprobe.run"
	LabelDeadline = "io.nestprobe.deadline"
)

// noDeadline is the deadline of what a user asked to keep.
const noDeadline = "never"

// deadlineMargin is what a run may take beyond the wait for its servers:
// making images, networks and containers, the last tries, and the clean-up.
const DeadlineMargin = 30 * time.Second

// labels name one run and the time from which its leftovers may be removed.
type Labels struct {
	Run      string
	Lifetime time.Duration
	end      string // of the lifetime, in RFC 3339
	deadline string // the same, or noDeadline
}

// NewID returns an id for a run, unlikely to be that of another one on the same
// engine: of 100 at once, two are the same once in a million.
func NewID() string { return NewToken(4) }

// newLabels returns the labels of a run whose leftovers may be removed when its
// lifetime is over; never, if they are kept.
func NewLabels(id string, now time.Time, lifetime time.Duration, kept bool) Labels {
	l := Labels{Run: id, Lifetime: lifetime, end: now.Add(lifetime).UTC().Format(time.RFC3339)}
	l.deadline = l.end
	if kept {
		l.deadline = noDeadline
	}
	return l
}

func (l Labels) Values() map[string]string {
	return map[string]string{LabelRun: l.Run, LabelDeadline: l.deadline}
}

// helper are the labels of what works for a run and is never kept, whatever is.
func (l Labels) helperValues() map[string]string {
	return map[string]string{LabelRun: l.Run, LabelDeadline: l.end}
}

// passed says whether a deadline label lies before now. What cannot be parsed
// was not written by a run that ends, and stays.
func hasPassed(deadline string, now time.Time) bool {
	t, err := time.Parse(time.RFC3339, deadline)
	return err == nil && t.Before(now)
}

// identityBytes makes a token that nobody guesses.
const IdentityBytes = 16

// token returns n random bytes in hexadecimal.
func NewToken(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never returns an error (crypto/rand, since Go 1.24)
	return hex.EncodeToString(b)
}
