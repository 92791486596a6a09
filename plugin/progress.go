package plugin

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/docker/cli/cli/streams"
	"github.com/docker/docker/pkg/jsonmessage"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// progressDelay is how long a step takes before it is shown. After one second a
// delay interrupts the user's flow of thought (Nielsen, Usability Engineering, 1993).
const progressDelay = time.Second

// progress prints long steps on stderr if that is a terminal, and notes always.
type progress struct {
	mu  sync.Mutex
	out *streams.Out
}

// Step prints a step that takes longer than progressDelay, and at its end how long it
// took.
func (p *progress) Step(name string) func() {
	name = netprobe.Visible(name, maxMessage)
	if !p.out.IsTerminal() {
		return func() {}
	}
	began := time.Now()
	timer := time.AfterFunc(progressDelay, func() { p.print("%s...\n", name) })
	return func() {
		if !timer.Stop() {
			p.print("%s took %s\n", name, time.Since(began).Round(100*time.Millisecond))
		}
	}
}

// Pull prints an image pull as docker pull does, on a terminal.
func (p *progress) Pull(stream io.Reader) error {
	if p.out.IsTerminal() {
		return jsonmessage.DisplayJSONMessagesToStream(stream, p.out, nil)
	}
	return jsonmessage.DisplayJSONMessagesStream(stream, io.Discard, 0, false, nil)
}

// Note prints a line, also if stderr is not a terminal.
func (p *progress) Note(text string) { p.print("%s\n", netprobe.Visible(text, maxMessage)) }

func (p *progress) print(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintf(p.out, format, args...)
}
