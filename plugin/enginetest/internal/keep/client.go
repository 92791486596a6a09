package keep

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// Conn is a connection to the keeper. While it is open, the keeper and the
// engines that it gave out stay up.
type Conn struct {
	conn    net.Conn
	decoder *json.Decoder
}

const (
	// redial is the pause between two attempts to reach a keeper that is starting
	// up, or clearing up after the one before it.
	redial = 20 * time.Millisecond
	// dialWait bounds all attempts. Taking down five engines took 1 s at most.
	dialWait = 60 * time.Second
)

// Connect connects to the user's keeper and starts one if there is none.
func Connect(ctx context.Context) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWait)
	defer cancel()
	var starter starter
	for {
		conn, err := dial(ctx)
		if err == nil {
			return conn, nil
		}
		if err = starter.ensure(); err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("connecting to the keeper of engines: %w\n%s", err, Tail(LogPath()))
		case <-time.After(redial):
		}
	}
}

// Attach connects to a keeper that is already running.
func Attach(ctx context.Context) (*Conn, error) {
	conn, err := dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting to the keeper of engines: %w", err)
	}
	return conn, nil
}

func dial(ctx context.Context) (*Conn, error) {
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, "unix", socketPath())
	if err != nil {
		return nil, err
	}
	conn := &Conn{conn: raw, decoder: json.NewDecoder(raw)}
	if _, err := conn.read(ctx); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	return conn, nil
}

// Do sends a request and waits for its answer. If the keeper could not do it, that is
// an error.
func (c *Conn) Do(ctx context.Context, request Request) (Reply, error) {
	if err := json.NewEncoder(c.conn).Encode(request); err != nil {
		return Reply{}, fmt.Errorf("sending a request to the keeper of engines: %w", err)
	}
	reply, err := c.read(ctx)
	if err != nil {
		return Reply{}, fmt.Errorf("waiting for the keeper of engines: %w\n%s", err, Tail(LogPath()))
	}
	switch {
	case reply.Missing != nil:
		return Reply{}, fmt.Errorf("%s %s: %w", request.Op, cmp.Or(string(request.Kind), request.Engine), reply.Missing)
	case reply.Error != "":
		return Reply{}, errors.New(reply.Error)
	}
	return reply, nil
}

func (c *Conn) read(ctx context.Context) (Reply, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var reply Reply
	err := c.decoder.Decode(&reply)
	if ctx.Err() != nil {
		return Reply{}, ctx.Err()
	}
	return reply, err
}

// Close releases what this connection holds.
func (c *Conn) Close() error { return c.conn.Close() }

// tailBytes is enough of a daemon's log to see the reason, which comes last.
const tailBytes = 3000

// Tail returns the end of a log file, or what kept it from being read.
func Tail(path string) string {
	data, err := os.ReadFile(path) //nolint:gosec // a log in the keeper's folder
	if err != nil {
		return err.Error()
	}
	if len(data) > tailBytes {
		data = data[len(data)-tailBytes:]
	}
	return strings.TrimSpace(string(data))
}
