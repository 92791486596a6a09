package engine

import (
	"fmt"
	"io"
)

// Progress is told about steps that may take long. It may be called from
// several goroutines at once.
type Progress interface {
	// Step announces a step; the function it returns is called at its end.
	Step(what string) (done func())
	// Pull shows the stream of messages of an image pull as it arrives, and
	// returns the error that the engine reported in it.
	Pull(stream io.Reader) error
	// Note tells of something worth knowing that is no result.
	Note(what string)
}

func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
