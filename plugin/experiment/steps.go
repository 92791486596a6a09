package experiment

import (
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"sync"
)

// steps tells of two steps, the second of which begins when all servers have
// taken the first.
type steps struct {
	progress engine.Progress
	next     string

	mu        sync.Mutex
	remaining int
	done      func() // of the step that is under way
}

func newSteps(progress engine.Progress, servers int, first, next string) *steps {
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
