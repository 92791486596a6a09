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

// patience is how long a step may take before it is shown: what a person
// notices as a wait (Nielsen, Usability Engineering, 1993: one second keeps the
// flow of thought).
const patience = time.Second

// progress shows steps that take long on a terminal's stderr. Off a terminal it
// shows notes alone.
type progress struct {
	mu  sync.Mutex
	out *streams.Out
}

func newProgress(out *streams.Out) *progress { return &progress{out: out} }

// Step shows a step once it has lasted for a second, and at its end how long it
// took.
func (p *progress) Step(what string) func() {
	what = netprobe.Visible(what, maxMessage)
	if !p.out.IsTerminal() {
		return func() {}
	}
	began := time.Now()
	timer := time.AfterFunc(patience, func() { p.print("%s...\n", what) })
	return func() {
		if !timer.Stop() {
			p.print("%s took %s\n", what, time.Since(began).Round(100*time.Millisecond))
		}
	}
}

// Pull shows an image pull as docker pull does, on a terminal.
func (p *progress) Pull(stream io.Reader) error {
	if p.out.IsTerminal() {
		return jsonmessage.DisplayJSONMessagesToStream(stream, p.out, nil)
	}
	return jsonmessage.DisplayJSONMessagesStream(stream, io.Discard, 0, false, nil)
}

// Note shows a line whatever stderr is.
func (p *progress) Note(what string) { p.print("%s\n", netprobe.Visible(what, maxMessage)) }

func (p *progress) print(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintf(p.out, format, args...)
}
