package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
)

// lines writes JSON documents, one a line. Several goroutines may call send.
type lines struct {
	mu  sync.Mutex
	out *json.Encoder
}

func newLines(w io.Writer) *lines { return &lines{out: json.NewEncoder(w)} }

func (l *lines) send(document any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.out.Encode(document); err != nil {
		return fmt.Errorf("writing to the plugin: %w", err)
	}
	return nil
}

// stdinEndLimit bounds the wait for the end of stdin, in case the plugin is gone and the
// engine does not close stdin.
const stdinEndLimit = 5 * time.Second

// awaitStdinEnd returns when the plugin has ended stdin, as it does after it has read the
// result. A role that exits earlier may lose it: a busy engine was seen to close the
// output of an exited process before it had copied all of it (Docker 20.10: "stream copy
// error: reading from a closed fifo").
func awaitStdinEnd(over <-chan struct{}) {
	select {
	case <-over:
	case <-time.After(stdinEndLimit):
	}
}
