package main

import (
	"context"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

const (
	// maxMessage is the largest message, in bytes. A message is read completely before it
	// is sent back, since echoing while reading would block a client that writes a whole
	// message before it reads. It is far above the 64 KiB that a path with an MTU black
	// hole loses.
	maxMessage = 1 << 20
	// echoTimeout bounds a client that stops reading.
	echoTimeout = 10 * time.Second
)

// echo sends every message back with the same type, until the client or the server ends.
// A client may be silent for any time: TCP keep-alive detects that it is gone.
func echo(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // any page may open it: there is nothing to protect
	})
	if err != nil {
		return // Accept has answered
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(maxMessage)
	for {
		kind, message, err := conn.Read(r.Context())
		if err != nil {
			return // closed, broken or too large; the library has answered
		}
		if err := sendBack(r.Context(), conn, kind, message); err != nil {
			return
		}
	}
}

func sendBack(ctx context.Context, conn *websocket.Conn, kind websocket.MessageType, message []byte) error {
	ctx, cancel := context.WithTimeout(ctx, echoTimeout)
	defer cancel()
	return conn.Write(ctx, kind, message)
}
