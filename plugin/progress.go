package plugin

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/docker/cli/cli/streams"
	"github.com/docker/docker/pkg/jsonmessage"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// progressDelay is how long a step takes before it is shown, and how often the time that it
// has taken is updated. After one second a delay interrupts the user's flow of thought
// (Nielsen, Usability Engineering, 1993).
const progressDelay = time.Second

// progress prints long steps on stderr if that is a terminal, and notes always. The last
// line of the terminal counts the seconds of the step that runs.
type progress struct {
	out *streams.Out

	mu    sync.Mutex
	steps []*step // that are shown, the latest last
	pulls int     // that draw on the terminal themselves
	drawn int     // the width of the counter on the last line; 0 if there is none
}

type step struct {
	name  string
	began time.Time
}

// Step counts the seconds of a step that takes longer than progressDelay, and prints at its
// end how long it took.
func (p *progress) Step(name string) func() {
	if !p.out.IsTerminal() {
		return func() {}
	}
	s := &step{name: netprobe.Visible(name, maxMessage), began: time.Now()}
	ended, counted := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(counted)
		p.count(s, ended)
	}()
	return sync.OnceFunc(func() {
		close(ended)
		<-counted
	})
}

// count shows a step until it has ended.
func (p *progress) count(s *step, ended <-chan struct{}) {
	ticker := time.NewTicker(progressDelay)
	defer ticker.Stop()
	shown := false
	for {
		select {
		case <-ticker.C:
			p.show(s, !shown)
			shown = true
		case <-ended:
			if shown {
				p.end(s)
			}
			return
		}
	}
}

func (p *progress) show(s *step, first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if first {
		p.steps = append(p.steps, s)
	}
	p.draw()
}

func (p *progress) end(s *step) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.steps = slices.DeleteFunc(p.steps, func(other *step) bool { return other == s })
	p.line(fmt.Sprintf("%s took %s", s.name, time.Since(s.began).Round(100*time.Millisecond)))
	p.draw()
}

// draw writes the counter of the latest step over the last line.
func (p *progress) draw() {
	if len(p.steps) == 0 || p.pulls > 0 {
		return
	}
	latest := p.steps[len(p.steps)-1]
	text := fmt.Sprintf("%s... %ds", latest.name, int(time.Since(latest.began).Seconds()))
	if _, width := p.out.GetTtySize(); width > 0 && utf8.RuneCountInString(text) >= int(width) {
		text = string([]rune(text)[:width-1]) // a line that wraps cannot be overwritten
	}
	_, _ = fmt.Fprint(p.out, "\r", text, p.blank(text))
	p.drawn = utf8.RuneCountInString(text)
}

// blank covers what a text leaves of the counter. It needs no escape sequence, which a
// simple terminal would print.
func (p *progress) blank(text string) string {
	return strings.Repeat(" ", max(0, p.drawn-utf8.RuneCountInString(text)))
}

// line prints a line in the place of the counter.
func (p *progress) line(text string) {
	if p.drawn > 0 {
		text, p.drawn = "\r"+text+p.blank(text), 0
	}
	_, _ = fmt.Fprintln(p.out, text)
}

// hideCounter keeps the last line free until the function that it returns is called.
func (p *progress) hideCounter() (show func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pulls++
	if p.drawn > 0 {
		_, _ = fmt.Fprint(p.out, "\r", strings.Repeat(" ", p.drawn), "\r")
		p.drawn = 0
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.pulls--
		p.draw()
	}
}

// Pull prints an image pull as docker pull does, on a terminal.
func (p *progress) Pull(stream io.Reader) error {
	if p.out.IsTerminal() {
		defer p.hideCounter()()
		return jsonmessage.DisplayJSONMessagesToStream(stream, p.out, nil)
	}
	return jsonmessage.DisplayJSONMessagesStream(stream, io.Discard, 0, false, nil)
}

// Note prints a line, also if stderr is not a terminal.
func (p *progress) Note(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line(netprobe.Visible(text, maxMessage))
	p.draw()
}
