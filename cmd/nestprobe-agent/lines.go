package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
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
