package engine

import (
	"fmt"
	"io"
)

// Progress reports steps that may take long. Its methods may be called from several
// goroutines in parallel.
type Progress interface {
	// Step reports the begin of a step. The caller calls done at its end.
	Step(what string) (done func())
	// Pull prints the stream of messages of an image pull as it arrives, and
	// returns the error that the engine reported in it.
	Pull(stream io.Reader) error
	// Note reports something that the user should know and that is not a result.
	Note(what string)
}

// Plural returns the number with the noun, which gets an s unless the number is 1.
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
