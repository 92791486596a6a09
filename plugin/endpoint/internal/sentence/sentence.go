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

type sentence struct {
	text  string
	cause error
}

func (s *sentence) Error() string { return s.text }
func (s *sentence) Unwrap() error { return s.cause }

// Of is an error with a text of ours that unwraps to cause, which may be nil.
func Of(cause error, format string, values ...any) error {
	return &sentence{text: fmt.Sprintf(format, values...), cause: cause}
}

// Visible shows text of the other side on one line, cut to what a line of
// evidence can hold.
func Visible(text string) string {
	const limit = 300 // bytes
	return netprobe.Visible(strings.TrimSpace(text), limit)
}
