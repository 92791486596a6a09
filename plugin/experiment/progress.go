package experiment

import (
	"fmt"
	"io"
	"sync"
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

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// steps tells of two steps, the second of which begins when all servers have
// taken the first.
type steps struct {
	progress Progress
	next     string

	mu        sync.Mutex
	remaining int
	done      func() // of the step that is under way
}

func newSteps(progress Progress, servers int, first, next string) *steps {
	return &steps{progress: progress, next: next, remaining: servers, done: progress.Step(first)}
}

// advance tells that one server has taken the first step.
func (s *steps) advance() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remaining--
	if s.remaining == 0 {
		s.done()
		s.done = s.progress.Step(s.next)
	}
}

// end ends the step that is under way.
func (s *steps) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done()
}
