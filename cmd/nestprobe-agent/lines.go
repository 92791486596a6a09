package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
)

// lines writes JSON documents, a line each, from several goroutines.
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

// stdinEndLimit bounds the wait for the end of stdin: whoever asked is gone, or the
// engine does not pass it on.
const stdinEndLimit = 5 * time.Second

// awaitStdinEnd returns when whoever reads stdout has ended stdin, as it does once it
// has what it came for. A role that ended before might not be heard: an engine with
// much to do was seen to close the output of a process that had ended (Docker
// 20.10: "stream copy error: reading from a closed fifo") with a document in it.
func awaitStdinEnd(over <-chan struct{}) {
	limit := time.NewTimer(stdinEndLimit)
	defer limit.Stop()
	select {
	case <-over:
	case <-limit.C:
	}
}
