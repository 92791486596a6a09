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
	"github.com/docker/docker/pkg/stdcopy"
)

// lease is the attached stdin of an agent, which exits when it is closed, and
// the output that comes back the same way.
type Lease struct {
	connection types.HijackedResponse
	Output     Tail          // of its stderr, and of its stdout if nobody else gets that
	Listening  chan struct{} // closed when a built-in server has said that it listens
	drained    chan struct{}
}

// takeLease attaches to an agent's container. Its stdout goes to stdout until
// the lease ends, which then closes it; nil keeps the end of it with stderr's.
func TakeLease(ctx context.Context, api API, id string, stdout *io.PipeWriter) (*Lease, error) {
	connection, err := attach(ctx, api, id)
	if err != nil {
		return nil, fmt.Errorf("attaching to the container: %w", err)
	}
	l := &Lease{connection: connection, Listening: make(chan struct{}), drained: make(chan struct{})}
	go func() { // ends with the connection, which release closes
		defer close(l.drained)
		if stdout == nil {
			said := &listeningDetector{tail: &l.Output, onListening: sync.OnceFunc(func() { close(l.Listening) })}
			_, _ = stdcopy.StdCopy(said, &l.Output, connection.Reader)
			return
		}
		_, err := stdcopy.StdCopy(stdout, &l.Output, connection.Reader)
		_ = stdout.CloseWithError(err) // it has none of its own
	}()
	return l, nil
}

// attach is ContainerAttach that ends with ctx. Docker's client only dials with
// its context, and then waits for the answer without one (docker/docker v28.5,
// client/hijack.go, hijackedConn.RoundTrip).
func attach(ctx context.Context, api API, id string) (types.HijackedResponse, error) {
	type answer struct {
		connection types.HijackedResponse
		err        error
	}
	answers := make(chan answer)
	go func() { // ends with the engine's answer; an engine that gives none ends it with the process
		connection, err := api.ContainerAttach(ctx, id, container.AttachOptions{
			Stream: true, Stdin: true, Stdout: true, Stderr: true,
		})
		select {
		case answers <- answer{connection, err}:
		case <-ctx.Done():
			if err == nil {
				connection.Close()
			}
		}
	}()
	select {
	case a := <-answers:
		return a.connection, a.err
	case <-ctx.Done():
		return types.HijackedResponse{}, context.Cause(ctx)
	}
}

// release ends the lease and waits until its output has been read.
func (l *Lease) Release() {
	l.connection.Close()
	<-l.drained
}

// lastLines is how many log lines of a server that exited are shown.
const lastLines = 10

// tailBytes bounds what is kept of a server's output: ten lines of a terminal's
// width, several times over.
const tailBytes = 8 << 10

// tail keeps the end of what is written to it.
type Tail struct {
	mu   sync.Mutex
	data []byte
}

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
// connections; nothing comes before it.
const listeningPrefix = "listening on "

// listeningDetector keeps what is written to it, and hears when the server listens.
type listeningDetector struct {
	tail  *Tail
	onListening func()
}

func (a *listeningDetector) Write(p []byte) (int, error) {
	n, err := a.tail.Write(p)
	if a.tail.contains(listeningPrefix) {
		a.onListening()
	}
	return n, err
}

func (t *Tail) contains(word string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Contains(t.data, []byte(word))
}

// lines returns the last lines, newest last.
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
