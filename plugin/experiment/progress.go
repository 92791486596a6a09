package experiment

import (
	"sync"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
)

// startSteps reports two steps of the start of several servers. The second step begins
// when all servers have completed the first.
type startSteps struct {
	progress engine.Progress
	next     string

	mu        sync.Mutex
	remaining int
	done      func() // ends the current step
}

func newStartSteps(progress engine.Progress, servers int, first, next string) *startSteps {
	return &startSteps{progress: progress, next: next, remaining: servers, done: progress.Step(first)}
}

// advance counts one more server that has completed the first step.
func (s *startSteps) advance() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remaining--
	if s.remaining == 0 {
		s.done()
		s.done = s.progress.Step(s.next)
	}
}

// end ends the current step.
func (s *startSteps) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done()
}

// modeProgress reports only the notes of one of several network modes, since all modes
// together are one step.
type modeProgress struct {
	engine.Progress
	mode string
}

// Step implements Progress.
func (*modeProgress) Step(string) func() { return func() {} }

// Note implements Progress.
func (p *modeProgress) Note(what string) { p.Progress.Note(p.mode + ": " + what) }
