package main

import (
	"context"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

const (
	// maxMessage is held in memory before it goes back: echoing while still
	// reading would block a client that writes all of a message before it
	// reads. Far above the 64 KiB that a path with an MTU hole swallows.
	maxMessage = 1 << 20
	// echoTimeout bounds a client that stops reading.
	echoTimeout = 10 * time.Second
)

// echo sends every message back as the type that it came as, until the client
// or the server ends. A silent client is left alone: TCP's keep-alive finds
// out when it is gone.
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
			return // closed, broken or too large: the library has said which
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
