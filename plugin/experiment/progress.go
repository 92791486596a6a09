package experiment

import "github.com/nestprobe/docker-nestprobe/plugin/engine"

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
