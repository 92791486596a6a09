package netprobe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/coder/websocket"
)

const (
	// echoMessage is what the server must echo. A server that sends a message first
	// does not send this one by chance.
	echoMessage = "nestprobe: please echo this"

	// echoLimit is the most bytes of a message that comes back: enough to show what
	// came instead of the echo.
	echoLimit = 4 << 10

	// frameLimit is the most bytes of frames that are read before the echo, pings
	// and the like included.
	frameLimit = 8 << 10
)

// webSocket opens a WebSocket on a separate connection to the address that
// answered, and expects the echo of one message.
func (p *prober) webSocket(ctx context.Context) *setback {
	p.enter(PhaseWebSocket)
	s := p.echo(ctx)
	if s != nil {
		p.result.WebSocket = WebSocketFailed
		return s
	}
	p.result.WebSocket = WebSocketOK
	if p.target.onlyWebSocket() {
		p.result.Status, p.result.Detail = http.StatusSwitchingProtocols, "switched to WebSocket"
	}
	p.result.Detail += ", WebSocket echoed"
	return nil
}

func (p *prober) echo(ctx context.Context) *setback {
	up := &upgrade{p: p}
	defer up.close()
	conn, _, err := websocket.Dial(ctx, p.target.base()+p.target.WebSocket, &websocket.DialOptions{ //nolint:bodyclose // the package closes it, as its documentation says
		HTTPClient: &http.Client{Transport: up, CheckRedirect: dontFollow},
		HTTPHeader: p.target.Header.Clone(),
		Host:       p.target.host(),
	})
	if err != nil {
		return up.refused(err)
	}
	up.open = true
	defer func() { _ = conn.CloseNow() }() // nothing more is needed from it
	// The wire has the deadline and follows the context. With its own context
	// the package would replace the wire's error with the context's.
	message, err := roundTrip(context.WithoutCancel(ctx), conn)
	if err != nil {
		return up.broken(err)
	}
	up.bye()
	if string(message) != echoMessage {
		return &setback{UnexpectedBody, "the WebSocket message that came back is not the one sent: " + sample(message), nil}
	}
	return nil
}

// roundTrip sends the message and returns the first one that comes back.
func roundTrip(ctx context.Context, conn *websocket.Conn) ([]byte, error) {
	conn.SetReadLimit(echoLimit)
	if err := conn.Write(ctx, websocket.MessageText, []byte(echoMessage)); err != nil {
		return nil, err
	}
	_, message, err := conn.Read(ctx)
	return message, err
}

func dontFollow(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// upgrade sends the one request that opens a WebSocket.
type upgrade struct {
	p      *prober
	w      *wire
	status int
	open   bool // the switch of protocols is valid
}

// RoundTrip sends the request on a new connection. Its error is a setback if there was
// no response of the expected server.
func (u *upgrade) RoundTrip(req *http.Request) (*http.Response, error) {
	conn, s := u.p.dial(req.Context(), u.p.addr, u.p.deadline)
	if s != nil {
		return nil, s
	}
	u.w, s = u.p.secure(req.Context(), conn)
	if s != nil {
		return nil, s
	}
	resp, s := u.w.do(req)
	if s != nil {
		return nil, s
	}
	if s := u.p.identify(resp.Header); s != nil {
		return nil, s
	}
	u.status = resp.StatusCode
	if u.status != http.StatusSwitchingProtocols {
		resp.Body = http.NoBody // it is not needed, and may never end
		return resp, nil
	}
	u.w.limited.N = frameLimit
	resp.Body = struct {
		io.Reader
		io.WriteCloser
	}{u, u.w}
	return resp, nil
}

// Read reads what follows the switch of protocols, and nothing unless that is valid: the
// WebSocket package would wait for a body to show in its error. Later it returns no
// io.EOF, which the package takes for the end of a message between fragments.
func (u *upgrade) Read(b []byte) (int, error) {
	if !u.open {
		return 0, io.EOF
	}
	n, err := u.w.in.Read(b)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// refused says why no WebSocket was opened.
func (u *upgrade) refused(err error) *setback {
	var s *setback
	switch {
	case errors.As(err, &s):
		return s
	case u.status == http.StatusSwitchingProtocols:
		return &setback{WebSocketRefused, "the switch to WebSocket breaks its protocol: " + err.Error(), err}
	}
	return &setback{WebSocketRefused, fmt.Sprintf("WebSocket refused: answered %d, expected 101", u.status), err}
}

// broken says why an open WebSocket brought no echo.
func (u *upgrade) broken(err error) *setback {
	var closed websocket.CloseError
	switch {
	case errors.Is(err, websocket.ErrMessageTooBig):
		return &setback{UnexpectedBody, "the WebSocket message that came back is not the one sent, but a long one", err}
	case errors.As(err, &closed):
		return &setback{ClosedWithoutResponse, fmt.Sprintf("WebSocket closed without an echo, status %d %s",
			closed.Code, sample([]byte(closed.Reason))), err}
	case u.w.limited.N <= 0:
		return &setback{WebSocketRefused, "the WebSocket sends many frames, but no echo", err}
	}
	switch u.w.ending() {
	case late:
		return &setback{NoResponse, "WebSocket open, no echo within " + u.p.waited(), err}
	case open:
		return &setback{WebSocketRefused, "the server breaks the WebSocket protocol: " + err.Error(), err}
	}
	return &setback{ClosedWithoutResponse, "WebSocket open, then closed without an echo", err}
}

// bye ends the WebSocket with a close frame of status
// 1000 (RFC 6455, section 5.5.1), masked with zero. The package's own Close would
// wait for the answer, which the result does not depend on.
func (u *upgrade) bye() {
	_, _ = u.w.Write([]byte{0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8})
}

func (u *upgrade) close() {
	if u.w != nil {
		u.w.close()
	}
}
