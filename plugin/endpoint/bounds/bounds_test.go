package bounds

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker/docker/api/types/container"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// misbehaving serves over connections in memory, and returns a client of it with the limits
// of the commands. It is called in a synctest bubble, whose clock moves on when all wait.
func misbehaving(t *testing.T, answer http.HandlerFunc) (*http.Client, *Transport) {
	t.Helper()
	listener := &memory{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: answer, ReadHeaderTimeout: time.Hour, ErrorLog: log.New(io.Discard, "", 0)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		assert.Check(t, server.Close())
		assert.Check(t, is.ErrorIs(<-served, http.ErrServerClosed))
		time.Sleep(time.Second) // a connection whose request was not read stays for 0.5 s (net/http, server.go, closeWriteAndWait)
	})
	base := &http.Transport{DialContext: listener.dial}
	t.Cleanup(base.CloseIdleConnections)
	transport := NewTransport(base, Defaults())
	return &http.Client{Transport: transport}, transport
}

// memory is a listener whose connections are pipes: a bubble's clock waits for those.
type memory struct {
	net.Listener // none of its methods but these is called

	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (m *memory) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case m.conns <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (m *memory) Accept() (net.Conn, error) {
	select {
	case conn := <-m.conns:
		return conn, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

func (m *memory) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

// hang reads the request, and does not answer before its client is gone.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// drip sends one byte now and then, until its client is gone.
func drip(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		if _, err := w.Write([]byte(" ")); err != nil || http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-time.After(100 * time.Millisecond): // what a slow engine does
		case <-r.Context().Done():
		}
	}
}

// endless repeats a text for ever.
func endless(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := io.WriteString(w, text); err != nil {
				return
			}
		}
	}
}

func answer(status int, header, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if name, value, ok := strings.Cut(header, ": "); ok {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// send sends a request and reads the whole answer.
func send(t *testing.T, client *http.Client, method, path string) (body []byte, took time.Duration, err error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://engine/v1.41"+path, http.NoBody)
	assert.NilError(t, err)
	began := time.Now()
	response, err := client.Do(request)
	if err != nil {
		return nil, time.Since(began), err
	}
	body, err = io.ReadAll(response.Body)
	assert.Check(t, response.Body.Close())
	return body, time.Since(began), err
}

// TestBounds has a call exceed each of its bounds.
func TestBounds(t *testing.T) {
	t.Parallel()
	kib := strings.Repeat("A", 1<<10)
	for name, test := range map[string]struct {
		call   string
		engine http.HandlerFunc
		want   string // in the error; empty for none
	}{
		"no answer":                {"GET /info", hang, "no answer to GET /info within 10s"},
		"no answer to a change":    {"POST /containers/create", hang, "no answer to POST /containers/create within 50s"},
		"no end":                   {"GET /info", drip, "the answer to GET /info did not end within 10s"},
		"no end of a change":       {"DELETE /containers/x", drip, "the answer to DELETE /containers/{id} did not end within 50s"},
		"no end of a short log":    {"GET /containers/x/logs", drip, "did not end within 10s"},
		"no header of a wait":      {"POST /containers/x/wait", hang, "no answer to POST /containers/{id}/wait within 10s"},
		"no header of a log":       {"GET /containers/x/logs?follow=1", hang, "no answer to GET /containers/{id}/logs within 10s"},
		"no upgrade":               {"POST /containers/x/attach", hang, "no answer to POST /containers/{id}/attach within 50s"},
		"no end of a refusal":      {"POST /containers/x/wait", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500); drip(w, r) }, "did not end within 10s"},
		"no progress of a pull":    {"POST /images/create", drip, "POST /images/create made no progress within 30s"},
		"no progress of a load":    {"POST /images/load", hang, "POST /images/load made no progress within 30s"},
		"too large":                {"GET /networks", endless(kib), "the answer to GET /networks is larger than 16 MiB"},
		"white space":              {"GET /networks", endless(strings.Repeat(" ", 1<<10)), "is larger than 16 MiB"},
		"an exit status too large": {"POST /containers/x/wait", endless(kib), "is larger than 64 KiB"},
		"a message too large":      {"POST /images/create", endless(kib), "has a message larger than 1 MiB"},
		"too many elements":        {"GET /containers/json", answer(200, "", "["+strings.Repeat("{},", maxEntries/2)+"{}]"), "has more than 100000 entries"},
		"too many nulls":           {"GET /containers/json", answer(200, "", "["+strings.Repeat("0,", maxEntries)+"0]"), "has more than 100000 entries"},
		"too many labels":          {"GET /containers/x/json", answer(200, "", "{"+strings.Repeat(`"":0,`, maxMembers)+`"":0}`), "has more than 500000 members"},
		"nested too deep":          {"GET /info", endless("[["), "is nested deeper than 100 levels"},
		"a large header":           {"GET /info", answer(200, "X-Large: "+strings.Repeat("h", MaxHeader), ""), "has a header larger than 256 KiB"},
		"a redirect":               {"GET /_ping", answer(301, "Location: http://127.0.0.1:9/\u202e", ""), "redirect to http://127.0.0.1:9/"},
		"a redirect of a change":   {"POST /containers/create", answer(307, "Location: /elsewhere", ""), "redirect to /elsewhere, so it is not a Docker engine"},
		"an answer":                {"GET /info", answer(200, "", `{"ID":"x"}`), ""},
		"quotes and brackets":      {"GET /info", answer(200, "", `{"a":"\"`+strings.Repeat("[", 200)+`\\","b":[]}`), ""},
		"not modified":             {"POST /containers/x/start", answer(304, "", ""), ""},
		"not found":                {"GET /containers/x/json", answer(404, "", `{"message":"no such container"}`), ""},
		"many messages":            {"POST /images/create", answer(200, "", strings.Repeat(`{"status":"`+kib+`"}`+"\n", 2000)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { testBound(t, test.call, test.engine, test.want) })
		})
	}
}

// testBound sends a call, which the engine answers as it does. The error has the wanted text.
func testBound(t *testing.T, call string, engine http.HandlerFunc, want string) {
	t.Helper()
	client, _ := misbehaving(t, engine)
	method, path, _ := strings.Cut(call, " ")
	_, _, err := send(t, client, method, path)
	if want == "" {
		assert.NilError(t, err)
		return
	}
	exceeded := new(Error)
	assert.Assert(t, errors.As(err, &exceeded), "%v", err)
	assert.Check(t, is.Contains(exceeded.Error(), want))
	assert.Check(t, !strings.Contains(exceeded.Error(), "\u202e"))
	fault := exceeded.Fault(err, "from DOCKER_HOST")
	assert.Check(t, is.Equal(fault.Cause, EngineUnreachable))
	assert.Check(t, is.ErrorIs(fault, exceeded))
	assert.Check(t, !strings.Contains(fault.Hint, "once more"), fault.Hint)
}

// TestStreams are read for longer than an answer may take: a wait, and a log that is followed.
func TestStreams(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"POST /containers/x/wait", "GET /containers/x/logs?follow=1", "GET /events"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client, _ := misbehaving(t, func(w http.ResponseWriter, _ *http.Request) {
					assert.Check(t, http.NewResponseController(w).Flush())
					time.Sleep(2 * AnswerTime) // the time that the container runs
					_, _ = io.WriteString(w, `{"StatusCode":3}`)
				})
				method, path, _ := strings.Cut(call, " ")
				body, _, err := send(t, client, method, path)
				assert.NilError(t, err)
				assert.Equal(t, string(body), `{"StatusCode":3}`)
			})
		})
	}
}

// TestProgress has a pull, and the upload of an image, that take longer than their bound.
func TestProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const parts = 8
		client, _ := misbehaving(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/load") {
				_, _ = io.Copy(io.Discard, r.Body)
				return
			}
			for range parts {
				_, _ = io.WriteString(w, `{"status":"Downloading"}`)
				assert.Check(t, http.NewResponseController(w).Flush())
				time.Sleep(idleTime / 4) // the speed of the pull
			}
		})
		_, took, err := send(t, client, http.MethodPost, "/images/create")
		assert.NilError(t, err)
		assert.Check(t, took > idleTime, took)

		reader, writer := io.Pipe()
		go func() {
			for range parts {
				_, _ = writer.Write([]byte("layer"))
				time.Sleep(idleTime / 4) // the speed of the upload
			}
			_ = writer.Close()
		}()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://engine/images/load", reader)
		assert.NilError(t, err)
		response, err := client.Do(request)
		assert.NilError(t, err)
		assert.NilError(t, response.Body.Close())
	})
}

// TestUploadThatIsNotRead has an engine that answers nothing and reads nothing of an image.
func TestUploadThatIsNotRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, _ := misbehaving(t, func(http.ResponseWriter, *http.Request) { <-t.Context().Done() })
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://engine/images/load", bytes.NewReader(make([]byte, 8<<20)))
		assert.NilError(t, err)
		response, err := client.Do(request)
		if err == nil {
			_ = response.Body.Close()
		}
		assert.Assert(t, Is(err), "%v", err)
		assert.Check(t, is.ErrorContains(err, "POST /images/load made no progress within 30s"))
	})
}

// TestNotice has a slow call.
func TestNotice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, transport := misbehaving(t, func(_ http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				time.Sleep(2 * noticeTime) // a slow engine
			}
		})
		var mu sync.Mutex
		var notices []string
		transport.OnWait(func(what string) {
			mu.Lock()
			defer mu.Unlock()
			notices = append(notices, what)
		})
		_, _, err := send(t, client, http.MethodPost, "/containers/x/start")
		assert.NilError(t, err)
		mu.Lock()
		defer mu.Unlock()
		assert.DeepEqual(t, notices, []string{"waiting for the engine's answer to POST /containers/{id}/start, for up to 50s"})
	})
}

// TestCallerEnds ends a call by its context, which is not an exceeded bound.
func TestCallerEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, _ := misbehaving(t, hang)
		ctx, cancel := context.WithTimeout(t.Context(), shortBound/2)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine/info", http.NoBody)
		assert.NilError(t, err)
		response, err := client.Do(request)
		if err == nil {
			_ = response.Body.Close()
		}
		assert.Check(t, is.ErrorIs(err, context.DeadlineExceeded))
		assert.Check(t, !Is(err))
	})
}

// TestLargeAnswersTakeTurns reads several large answers, one after the other.
func TestLargeAnswersTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const large = largeAnswer + 100<<10
		client, transport := misbehaving(t, answer(200, "", `"`+strings.Repeat("A", large)+`"`))
		transport.limits.Bytes, transport.limits.Answer = 2*large, time.Minute
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				body, _, err := send(t, client, http.MethodGet, "/info")
				assert.Check(t, err)
				assert.Check(t, is.Equal(len(body), large+2))
			})
		}
		group.Wait()
		assert.Check(t, is.Len(transport.large, 0))
	})
}

// switches answers a request by switching to the container's streams, and then calls stream.
func switches(t *testing.T, stream func(net.Conn)) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if !assert.Check(t, err) {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
		stream(conn)
	}
}

func attach(t *testing.T, engine http.HandlerFunc) (io.Reader, io.Writer, error) {
	t.Helper()
	_, transport := misbehaving(t, engine)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://engine/v1.41/containers/x/attach?"+AttachQuery(container.AttachOptions{Stream: true, Stdin: true}), nil)
	assert.NilError(t, err)
	attached, err := Attach(transport, request)
	if err == nil {
		t.Cleanup(attached.Close)
	}
	return attached.Reader, attached.Conn, err
}

func TestAttach(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		out, in, err := attach(t, switches(t, func(conn net.Conn) {
			line := make([]byte, 5)
			_, err := io.ReadFull(conn, line)
			assert.Check(t, err)
			_, _ = conn.Write(frame(1, string(line)))
		}))
		assert.NilError(t, err)
		time.Sleep(2 * AnswerTime) // the streams have no bound
		_, err = io.WriteString(in, "hello")
		assert.NilError(t, err)
		var stdout bytes.Buffer
		assert.NilError(t, Demultiplex(&stdout, io.Discard, out))
		assert.Equal(t, stdout.String(), "hello")
	})
}

func TestAttachRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for want, engine := range map[string]http.HandlerFunc{
			"the engine does not attach to the container (404): no such container": answer(404, "", `{"message":"no such container"}`),
			"the engine does not attach to the container (500): out of order":      answer(500, "", "out of order"),
			"the answer to POST /containers/{id}/attach did not end within 50s":    drip,
		} {
			_, _, err := attach(t, engine)
			assert.Check(t, is.ErrorContains(err, want))
		}
	})
}

// TestSwitchesUnrequested has an engine that switches protocols in the answer to any call.
func TestSwitchesUnrequested(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, _ := misbehaving(t, switches(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }))
		_, _, err := send(t, client, http.MethodGet, "/info")
		assert.Check(t, is.ErrorContains(err, "the answer to GET /info switches to another protocol"))
	})
}

func frame(stream byte, text string) []byte {
	header := binary.BigEndian.AppendUint32([]byte{stream, 0, 0, 0}, uint32(len(text)))
	return append(header, text...)
}

func TestDemultiplex(t *testing.T) {
	t.Parallel()
	joined := bytes.Join([][]byte{frame(1, "one "), frame(2, "two"), frame(1, ""), frame(0, "three")}, nil)
	bomb := []byte{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xf0, 'A', 'A'} // claims 4 GiB
	for name, test := range map[string]struct {
		output              []byte
		stdout, stderr, err string
	}{
		"frames":       {joined, "one three", "two", ""},
		"cut":          {joined[:len(joined)-2], "one thr", "two", ""},
		"half header":  {append(frame(2, "two"), 1, 0), "", "two", ""},
		"claims 4 GiB": {bomb, "AA", "", ""},
		"an error":     {frame(3, "broken"), "", "", "the engine reports an error in the output: broken"},
		"no frame":     {[]byte("plain text"), "", "", "unknown kind 112"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			err := Demultiplex(&stdout, &stderr, bytes.NewReader(test.output))
			assert.Check(t, is.Equal(stdout.String(), test.stdout))
			assert.Check(t, is.Equal(stderr.String(), test.stderr))
			if test.err != "" {
				assert.Check(t, is.ErrorContains(err, test.err))
				return
			}
			assert.Check(t, err)
		})
	}
}

// TestDocuments bounds each document, not all of them together.
func TestDocuments(t *testing.T) {
	t.Parallel()
	mib := `{"a":"` + strings.Repeat("A", 1<<20) + `"}`
	_, err := io.Copy(io.Discard, Documents(strings.NewReader(strings.Repeat(mib, 40)), "POST /x"))
	assert.NilError(t, err)
	_, err = io.Copy(io.Discard, Documents(strings.NewReader(`{"a":"`+strings.Repeat(strings.Repeat("A", 1<<20), 20)), "POST /x"))
	assert.ErrorContains(t, err, "the answer to POST /x has a message larger than 16 MiB")
	assert.Assert(t, Is(err))
	_, err = io.Copy(io.Discard, Documents(strings.NewReader(strings.Repeat("[", 1000)), "POST /x"))
	assert.ErrorContains(t, err, "nested deeper")
}

// TestExplain explains each of joined errors, and keeps the others.
func TestExplain(t *testing.T) {
	t.Parallel()
	late, other := newLate("GET /info", "no answer"), errors.New("other")
	toFault := func(e *Error, err error) *report.Fault { return e.Fault(err, "") }
	err := Explain(errors.Join(fmt.Errorf("describe: %w", late), other), toFault)
	fault := new(report.Fault)
	assert.Assert(t, errors.As(err, &fault))
	assert.Check(t, is.ErrorIs(fault, late))
	assert.Check(t, is.ErrorIs(err, other))
	assert.Equal(t, Explain(err, toFault).Error(), err.Error())
	assert.Equal(t, Explain(other, toFault), other)
	assert.NilError(t, Explain(nil, toFault))
}

func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, _ := misbehaving(t, drip)
		watching, failure := Watch(t.Context())
		request, err := http.NewRequestWithContext(watching, http.MethodGet, "http://engine/info", http.NoBody)
		assert.NilError(t, err)
		response, err := client.Do(request)
		assert.NilError(t, err)
		_, err = io.ReadAll(response.Body)
		assert.Check(t, response.Body.Close())
		assert.Check(t, Is(failure(fmt.Errorf("reading: %v", err)))) //nolint:errorlint // as docker's client does
		assert.NilError(t, failure(nil))
	})
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for call, want := range map[string]kind{
		"HEAD /_ping":                           late,
		"GET /v1.41/info":                       query,
		"GET /containers/wait/json":             query,
		"GET /prefix/v1.41/containers/x/json":   query,
		"POST /prefix/v1.41/containers/x/wait":  wait,
		"POST /v1.29/containers/x/wait":         late, // has no header until the container exits
		"POST /v1.41/containers/create":         change,
		"DELETE /v1.41/containers/wait":         change,
		"POST /v1.41/networks/x/connect":        change,
		"PUT /v1.41/containers/x/archive":       transfer,
		"POST /v1.41/images/create":             transfer,
		"GET /v1.41/containers/x/logs":          query,
		"GET /v1.41/containers/x/logs?follow=1": stream,
		"POST /v1.41/containers/x/attach":       change,
	} {
		method, path, _ := strings.Cut(call, " ")
		at, err := url.Parse(path)
		assert.NilError(t, err)
		assert.Check(t, is.Equal(kindOf(method, at), want), call)
	}
}
