package engine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/bounds"
)

// Lease is the attached stdin of an agent, which exits when its stdin is closed, and the
// agent's output, which arrives over the same connection.
type Lease struct {
	connection types.HijackedResponse
	Output     Tail          // of its stderr, and of its stdout unless that goes to a pipe
	Listening  chan struct{} // closed when a built-in server has printed that it listens
	drained    chan struct{} // closed when all output has been read
}

// TakeLease attaches to an agent's container. The container's stdout is copied to stdout,
// which is closed at the end of the lease. If stdout is nil, it is kept in Output.
func TakeLease(ctx context.Context, api API, id string, stdout *io.PipeWriter) (*Lease, error) {
	connection, err := api.ContainerAttach(ctx, id, container.AttachOptions{
		Stream: true, Stdin: true, Stdout: true, Stderr: true,
	})
	if err != nil {
		return nil, fmt.Errorf("attaching to the container: %w", err)
	}
	l := &Lease{connection: connection, Listening: make(chan struct{}), drained: make(chan struct{})}
	go func() { // ends with the connection, which Release closes
		defer close(l.drained)
		if stdout == nil {
			written := &listeningDetector{tail: &l.Output, onListening: sync.OnceFunc(func() { close(l.Listening) })}
			_ = bounds.Demultiplex(written, &l.Output, connection.Reader)
			return
		}
		err := bounds.Demultiplex(stdout, &l.Output, connection.Reader)
		_ = stdout.CloseWithError(err) // never returns an error
	}()
	return l, nil
}

// Renew lets the deadline of a built-in server begin anew.
func (l *Lease) Renew() error {
	_, err := l.connection.Conn.Write([]byte("\n"))
	return err
}

// Release ends the lease, unless it has ended or is nil, and waits until the output has
// been read.
func (l *Lease) Release() {
	if l == nil {
		return
	}
	l.connection.Close()
	<-l.drained
}

// lastLines is how many log lines of a server that exited are printed.
const lastLines = 10

// tailBytes bounds what is kept of a server's output: several times ten lines of a
// terminal's width.
const tailBytes = 8 << 10

// Tail keeps the end of what is written to it.
type Tail struct {
	mu   sync.Mutex
	data []byte
}

// Write implements io.Writer. It never returns an error.
func (t *Tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if excess := len(t.data) - tailBytes; excess > 0 {
		t.data = append(t.data[:0], t.data[excess:]...)
	}
	return len(p), nil
}

// listeningPrefix begins the line that a built-in server prints when it accepts
// connections. It is the first line that the server prints.
const listeningPrefix = "listening on "

// listeningDetector keeps what is written to it, and calls onListening when that contains
// listeningPrefix.
type listeningDetector struct {
	tail        *Tail
	onListening func()
}

func (a *listeningDetector) Write(p []byte) (int, error) {
	n, err := a.tail.Write(p)
	if a.tail.contains(listeningPrefix) {
		a.onListening()
	}
	return n, err
}

func (t *Tail) contains(text string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Contains(t.data, []byte(text))
}

// Lines returns the last lines, the newest last; none if nothing was written.
func (t *Tail) Lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.TrimRight(string(t.data), "\r\n")
	if text == "" {
		return nil
	}
	lines := strings.Split(text, "\n")
	lines = lines[max(0, len(lines)-lastLines):]
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, "\r") // a terminal's end of line has one
	}
	return lines
}
