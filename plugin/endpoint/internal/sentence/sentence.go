// Package sentence gives an error a new text of one sentence and keeps the error
// underneath. The endpoint and its connection use it, since the texts of docker's
// client and of crypto/tls are long and guess at reasons. It must not know what any
// sentence is about.
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

// Of is an error with a new text that unwraps to cause, which may be nil. It escapes
// the text, so callers pass foreign values as they are.
func Of(cause error, format string, values ...any) error {
	return &sentence{text: netprobe.Visible(fmt.Sprintf(format, values...), maxSentence), cause: cause}
}

// Visible escapes foreign text that goes into a Report directly, and cuts it to the
// length of a part of a line.
func Visible(text string) string {
	return netprobe.Visible(strings.TrimSpace(text), maxPart)
}
