package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

// relayTo serves a relay whose servers answer with a handler.
func relayTo(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	s := newServers(t)
	s.handler = func(string) http.Handler { return handler }
	_, relay := relayOf(t, s)
	return relay
}

// Large bodies arrive unchanged in both directions at the same time.
func TestRelayPassesLargeBodies(t *testing.T) {
	t.Parallel()
	relay := relayTo(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Check(t, http.NewResponseController(w).EnableFullDuplex())
		_, _ = io.Copy(w, r.Body)
	})
	sent := bytes.Repeat([]byte("0123456789abcdef"), 2<<20)
	response, err := http.Post(relay+"/servers/1/", "", io.LimitReader(bytes.NewReader(sent), int64(len(sent)))) // no length: chunked
	assert.NilError(t, err)
	got, err := io.ReadAll(response.Body)
	assert.NilError(t, err)
	assert.NilError(t, response.Body.Close())
	assert.Check(t, bytes.Equal(got, sent), "%d of %d bytes", len(got), len(sent))
}

// What the client does not read, the server cannot send: the relay keeps no more of it than
// the sockets' buffers and its own.
func TestRelayKeepsBackpressure(t *testing.T) {
	t.Parallel()
	const far = 256 << 20 // more than any buffers
	written := make(chan int, 1)
	relay := relayTo(t, func(w http.ResponseWriter, _ *http.Request) {
		n := 0
		for n < far {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
			wrote, err := w.Write(make([]byte, 1<<20))
			if n += wrote; err != nil {
				break
			}
		}
		written <- n
	})
	response, err := http.Get(relay + "/servers/1/")
	assert.NilError(t, err)
	defer func() { assert.Check(t, response.Body.Close()) }()
	n := <-written
	assert.Check(t, n < far/4, "%d bytes were written, and none were read", n)
}

func TestRelayPassesTrailers(t *testing.T) {
	t.Parallel()
	relay := relayTo(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "X-Announced")
		_, _ = fmt.Fprintf(w, "%s %s", body, r.Trailer.Get("X-Sent"))
		w.Header().Set("X-Announced", "yes")
		w.Header().Set(http.TrailerPrefix+"X-Late", "too")
	})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, relay+"/servers/1/", io.MultiReader(strings.NewReader("body")))
	assert.NilError(t, err)
	request.Trailer = http.Header{"X-Sent": {"trailer"}}
	response, err := http.DefaultClient.Do(request)
	assert.NilError(t, err)
	body, err := io.ReadAll(response.Body)
	assert.NilError(t, err)
	assert.NilError(t, response.Body.Close())
	assert.Check(t, is.Equal(string(body), "body trailer"))
	assert.Check(t, is.Equal(response.Trailer.Get("X-Announced"), "yes"))
	assert.Check(t, is.Equal(response.Trailer.Get("X-Late"), "too"))
}

func TestRelayPassesInformation(t *testing.T) {
	t.Parallel()
	relay := relayTo(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "done")
	})
	var early []string
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
		early = append(early, fmt.Sprint(code, " ", header.Get("Link")))
		return nil
	}})
	status, body, err := tryRequest(ctx, http.MethodGet, relay+"/servers/1/")
	assert.NilError(t, err)
	assert.Check(t, is.Equal(fmt.Sprint(status, " ", body), "200 done"))
	assert.Check(t, is.DeepEqual(early, []string{"103 </style.css>; rel=preload"}))
}

// A client that waits for 100 Continue sends its body if the server wants it, and only then.
func TestRelayPassesContinue(t *testing.T) {
	t.Parallel()
	relay := relayTo(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refused" {
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
			return
		}
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	})
	for path, want := range map[string][]string{
		"/":        {"100 ", "200 body"},
		"/refused": {"413 too large\n"},
	} {
		conn, err := net.Dial("tcp", addressOf(relay))
		assert.NilError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = fmt.Fprintf(conn, "POST %s/servers/1%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n", below, path)
		assert.NilError(t, err)
		reader := bufio.NewReader(conn)
		for _, want := range want {
			response, err := http.ReadResponse(reader, nil)
			assert.NilError(t, err)
			body, err := io.ReadAll(response.Body)
			assert.NilError(t, err)
			assert.NilError(t, response.Body.Close())
			assert.Check(t, is.Equal(fmt.Sprint(response.StatusCode, " ", string(body)), want))
			if response.StatusCode == http.StatusContinue {
				_, err = io.WriteString(conn, "body")
				assert.NilError(t, err)
			}
		}
	}
}

// Server-sent events arrive when they are sent, also to a client of HTTP/1.0, whose answer
// ends with the connection.
func TestRelayPassesEvents(t *testing.T) {
	t.Parallel()
	next := make(chan string)
	relay := relayTo(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for event := range next {
			_, _ = fmt.Fprintf(w, "data: %s\n\n", event)
			_ = http.NewResponseController(w).Flush()
		}
	})
	go func() { next <- "first" }()
	response := exchange(t, addressOf(relay), "GET "+below+"/servers/1/ HTTP/1.0\r\n\r\n")
	assert.Check(t, is.Equal(response.ContentLength, int64(-1)))
	assert.Check(t, is.Len(response.TransferEncoding, 0))
	lines := bufio.NewReader(response.Body)
	for _, want := range []string{"first", "second"} {
		line, err := lines.ReadString('\n')
		assert.NilError(t, err)
		assert.Check(t, is.Equal(line, "data: "+want+"\n"))
		_, err = lines.ReadString('\n')
		assert.NilError(t, err)
		if want == "first" {
			next <- "second"
		}
	}
	close(next)
	_, err := lines.ReadByte()
	assert.Check(t, is.ErrorIs(err, io.EOF))
}

// A part of an answer of known length is sent on before the rest of it arrives.
func TestRelayPassesPartOfAnswer(t *testing.T) {
	t.Parallel()
	rest := make(chan struct{})
	relay := relayTo(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "first")
		_ = http.NewResponseController(w).Flush()
		<-rest
		_, _ = io.WriteString(w, "final")
	})
	response := exchange(t, addressOf(relay), "GET "+below+"/servers/1/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
	part := make([]byte, len("first"))
	_, err := io.ReadFull(response.Body, part)
	assert.NilError(t, err)
	assert.Check(t, is.Equal(string(part), "first"))
	close(rest)
	_, err = io.ReadFull(response.Body, part)
	assert.NilError(t, err)
	assert.Check(t, is.Equal(string(part), "final"))
}

const upgradeToEcho = "Connection: Upgrade\r\nUpgrade: echo\r\n"

// Each side of an upgraded connection can end its own direction, and the other one goes on.
func TestRelayPassesHalfClose(t *testing.T) {
	t.Parallel()
	relay := relayTo(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Check(t, is.Equal(r.Header.Get("Upgrade"), "echo"))
		conn, buffered, err := http.NewResponseController(w).Hijack()
		assert.Check(t, err)
		defer func() { assert.Check(t, conn.Close()) }()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n"+upgradeToEcho+"\r\n")
		all, err := io.ReadAll(buffered) // ends with the client's direction
		assert.Check(t, err)
		_, _ = fmt.Fprintf(conn, "got %s", all)
	})
	conn, err := net.Dial("tcp", addressOf(relay))
	assert.NilError(t, err)
	defer func() { assert.Check(t, conn.Close()) }()
	_, err = fmt.Fprintf(conn, "GET %s/servers/1/ HTTP/1.1\r\nHost: localhost\r\n%s\r\n", below, upgradeToEcho)
	assert.NilError(t, err)
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	assert.NilError(t, err)
	assert.NilError(t, response.Body.Close())
	assert.Check(t, is.Equal(response.StatusCode, http.StatusSwitchingProtocols))
	_, err = io.WriteString(conn, "all of it")
	assert.NilError(t, err)
	assert.NilError(t, conn.(*net.TCPConn).CloseWrite())
	answer, err := io.ReadAll(reader)
	assert.NilError(t, err)
	assert.Check(t, is.Equal(string(answer), "got all of it"))
}

// The answer of a server that refuses an upgrade arrives as it is.
func TestRelayPassesUpgradeRefusal(t *testing.T) {
	t.Parallel()
	relay := relayTo(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Upgrade", "websocket")
		http.Error(w, "only WebSocket", http.StatusUpgradeRequired)
	})
	response := exchange(t, addressOf(relay), "GET "+below+"/servers/1/ HTTP/1.1\r\nHost: localhost\r\n"+upgradeToEcho+"\r\n")
	body, err := io.ReadAll(response.Body)
	assert.NilError(t, err)
	assert.Check(t, is.Equal(fmt.Sprint(response.StatusCode, " ", string(body)), "426 only WebSocket\n"))
}
