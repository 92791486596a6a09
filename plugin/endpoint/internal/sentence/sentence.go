// Package sentence writes errors as one sentence for a person that keeps the
// error it stands for. The endpoint and its connection use it, since the texts
// of docker's client and of crypto/tls are long and guess at reasons. It must
// not know what any sentence is about.
package sentence

import (
	"fmt"
	"strings"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

const (
	// maxSentence is as many bytes as a line of a Report may have (report.MaxLine).
	maxSentence = 1 << 10
	// maxPart bounds what one part of a line may quote.
	maxPart = 300
)

type sentence struct {
	text  string
	cause error
}

func (s *sentence) Error() string { return s.text }
func (s *sentence) Unwrap() error { return s.cause }

// Of is an error with a text of ours that unwraps to cause, which may be nil.
// The text is safe to show whatever the values are: it is escaped here, so callers
// pass them as they came.
func Of(cause error, format string, values ...any) error {
	return &sentence{text: netprobe.Visible(fmt.Sprintf(format, values...), maxSentence), cause: cause}
}

// Visible escapes text of the other side that goes into a Report directly, and
// cuts it to what a part of a line can hold.
func Visible(text string) string {
	return netprobe.Visible(strings.TrimSpace(text), maxPart)
}
