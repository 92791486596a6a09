package engine

import "sync"

// Steps reports two steps of the start of several servers. The second step begins
// when all servers have completed the first.
type Steps struct {
	progress Progress
	next     string

	mu        sync.Mutex
	remaining int
	done      func() // ends the current step
}

// NewSteps begins the first step.
func NewSteps(progress Progress, servers int, first, next string) *Steps {
	return &Steps{progress: progress, next: next, remaining: servers, done: progress.Step(first)}
}

// Advance counts one more server that has completed the first step.
func (s *Steps) Advance() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remaining--
	if s.remaining == 0 {
		s.done()
		s.done = s.progress.Step(s.next)
	}
}

// End ends the current step.
func (s *Steps) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done()
}

// NotesOnly is the progress of one of several parts that together are one step: it reports
// notes only, each with the name of the part.
func NotesOnly(progress Progress, part string) Progress { return &notesOnly{progress, part} }

type notesOnly struct {
	Progress
	part string
}

// Step implements Progress.
func (*notesOnly) Step(string) func() { return func() {} }

// Note implements Progress.
func (n *notesOnly) Note(what string) { n.Progress.Note(n.part + ": " + what) }
