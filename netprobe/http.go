package netprobe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"slices"
	"strings"
)

// headerLimit is the most bytes that a response header may have, interim (1xx)
// responses included. Servers accept headers of 8 to 64 KiB at most, so a
// well-behaved one sends no more.
const headerLimit = 64 << 10

// sampleLimit is how much of what a server sent is shown within a sentence.
const sampleLimit = 80

// request sends the request and judges the response.
func (p *prober) request(ctx context.Context, w *wire) *setback {
	req, err := http.NewRequestWithContext(ctx, p.target.method(), p.target.URL(), http.NoBody)
	if err != nil {
		return &setback{NotProbed, "not probed: " + err.Error(), err}
	}
	req.Close = true
	if p.target.Header != nil {
		req.Header, req.Host = p.target.Header.Clone(), p.target.host() // "": that of the address
	}
	resp, s := w.do(req)
	p.result.Timings.FirstByte = w.firstByte()
	if s != nil {
		if errors.Is(s.err, errNotHTTP) {
			p.result.Body = p.shown(w.buffered())
		}
		return s
	}
	p.result.Status = resp.StatusCode
	w.limited.N = math.MaxInt64 // the body has its own limit
	body, err := io.ReadAll(io.LimitReader(resp.Body, p.opts.BodyLimit+1))
	unread := w.bodySetback(err)
	// In this order: closing a body reads the rest of it, however long that is,
	// unless the connection is closed.
	w.close()
	_ = resp.Body.Close()
	p.result.Body = p.shown(body)
	body = body[:min(int64(len(body)), p.opts.BodyLimit)]
	return p.judge(resp, body, unread)
}

// do sends req and returns the response, its body unread.
func (w *wire) do(req *http.Request) (*http.Response, *setback) {
	if _, chosen := req.Header["User-Agent"]; !chosen {
		req.Header.Set("User-Agent", w.p.opts.UserAgent)
	}
	var out bytes.Buffer
	if err := req.Write(&out); err != nil {
		return nil, &setback{NotProbed, "not probed: " + err.Error(), err}
	}
	// A server may answer, or close, without having read all of this. The bytes
	// that it sent say more than the error of the write.
	_, writeErr := w.Write(out.Bytes())
	for {
		resp, err := w.header(req)
		if !w.silent() {
			w.p.enter(PhaseAnswer)
		}
		if err != nil {
			return nil, w.headerSetback(errors.Join(err, writeErr))
		}
		if !interim(resp.StatusCode) {
			return resp, nil
		}
	}
}

// interim reports whether another response follows (RFC 9110, section 15.2).
func interim(status int) bool {
	return status >= 100 && status < 200 && status != http.StatusSwitchingProtocols
}

var errNotHTTP = errors.New("not an HTTP response")

// header reads one response header. It checks the first bytes before it waits for
// a whole line: a server of another protocol may never send one.
func (w *wire) header(req *http.Request) (*http.Response, error) {
	const begin = "HTTP/"
	for n := 1; n <= len(begin); n++ {
		b, err := w.in.Peek(n)
		if err != nil {
			return nil, err
		}
		if b[n-1] != begin[n-1] {
			return nil, errNotHTTP
		}
	}
	return http.ReadResponse(w.in, req)
}

// headerSetback says why there is no response header.
func (w *wire) headerSetback(err error) *setback {
	waited := w.p.waited()
	switch {
	case errors.Is(err, errNotHTTP):
		return w.notHTTP(err)
	case w.limited.N <= 0:
		return &setback{NotHTTP, fmt.Sprintf("the response header is longer than %d KiB", headerLimit>>10), err}
	}
	switch w.ending() {
	case late:
		if w.silent() {
			return &setback{NoResponse, "connection accepted, no response within " + waited, err}
		}
		return &setback{NoResponse, "the response header was not complete within " + waited, err}
	case rejected:
		return &setback{TLSHandshake, "the server ended TLS: " + w.ended.Error(), err}
	case hungUp:
		if w.silent() {
			return &setback{ClosedWithoutResponse, "connection accepted, then closed without a response", err}
		}
		return &setback{ClosedWithoutResponse, "connection closed within the response header", err}
	}
	return &setback{NotHTTP, "the response header is malformed: " + err.Error(), err}
}

// notHTTP describes first bytes that are not of an HTTP response.
func (w *wire) notHTTP(err error) *setback {
	first := w.buffered()
	detail := "the answer is not HTTP, it begins with " + quote(first)
	if isTLS(first) {
		detail = "the answer looks like TLS: this port seems to need https"
	}
	return &setback{NotHTTP, detail, err}
}

// buffered is what has come and has not been read. If the server does not speak
// HTTP, these are its first bytes.
func (w *wire) buffered() []byte {
	b, _ := w.in.Peek(w.in.Buffered()) // never fails for as many as are buffered
	return b
}

// bodySetback says why a body was not read to its end or limit; nil if it was.
func (w *wire) bodySetback(err error) *setback {
	if err == nil {
		return nil
	}
	switch w.ending() {
	case late:
		return &setback{StalledBody, "the body was not complete within " + w.p.waited(), err}
	case open:
		return &setback{NotHTTP, "the encoding of the body is not valid: " + err.Error(), err}
	}
	return &setback{TruncatedBody, "connection closed within the body", err}
}

// streams are the media types of bodies that need not end: events (server-sent events), images as
// cameras send them, and records of which each is a line.
var streams = []string{
	"text/event-stream", "multipart/x-mixed-replace", "application/x-ndjson", "application/ndjson",
	"application/jsonl", "application/x-jsonlines", "application/json-seq", "application/stream+json",
}

// isEndless says whether the body of a response is a stream that is not meant to end.
func isEndless(header http.Header) bool {
	kind, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	return slices.Contains(streams, kind) || strings.HasPrefix(kind, "audio/") || strings.HasPrefix(kind, "video/")
}

// judge compares a response with the expected one. It checks the identity first,
// since the response of another server says nothing about the expected one.
func (p *prober) judge(resp *http.Response, body []byte, unread *setback) *setback {
	if p.target.scheme() == HTTP && needsTLS(resp.StatusCode, body) {
		return &setback{NotHTTP, "the server says that this port needs https: " + sample(body), nil}
	}
	if s := p.identify(resp.Header); s != nil {
		return s
	}
	want := p.target.Expect.Status
	if want == 0 {
		want = http.StatusOK
	}
	switch {
	case resp.StatusCode != want:
		return &setback{UnexpectedStatus, statusDetail(resp, want), nil}
	case unread != nil && unread.failure == StalledBody && p.target.Expect.Body == "" && isEndless(resp.Header):
		p.result.Detail = fmt.Sprintf("answered %d, with a stream that goes on", resp.StatusCode)
		return nil
	case unread != nil:
		return unread
	case !bytes.Contains(body, []byte(p.target.Expect.Body)):
		return &setback{UnexpectedBody, "the expected text is not in the body, which is " + sample(body), nil}
	}
	p.result.Detail = fmt.Sprintf("answered %d", resp.StatusCode)
	return nil
}

// identify checks which server sent a response header.
func (p *prober) identify(header http.Header) *setback {
	if p.target.Identity == "" {
		return nil
	}
	got := header.Get(IdentityHeader)
	if got == p.target.Identity {
		p.result.Identity = IdentityVerified
		return nil
	}
	p.result.Identity = IdentityMismatch
	if got == "" {
		return &setback{WrongServer, "another server answered: it sends no identity", nil}
	}
	return &setback{WrongServer, "another server answered: its identity is " + sample([]byte(got)), nil}
}

func statusDetail(resp *http.Response, want int) string {
	detail := fmt.Sprintf("answered %d", resp.StatusCode)
	if to := resp.Header.Get("Location"); to != "" && resp.StatusCode/100 == 3 {
		detail += " (redirect to " + sample([]byte(to)) + ", not followed)"
	}
	return fmt.Sprintf("%s, expected %d", detail, want)
}

// needsTLS reports whether a response is the one that a TLS server gives to plain
// HTTP. The server's TLS layer writes it, which is why it has no identity. The
// texts are those of Go (net/http, server.go), nginx
// (ngx_http_special_response.c) and Apache (modules/ssl/ssl_engine_kernel.c).
func needsTLS(status int, body []byte) bool {
	if status != http.StatusBadRequest {
		return false
	}
	for _, text := range []string{
		"Client sent an HTTP request to an HTTPS server",
		"The plain HTTP request was sent to HTTPS port",
		"speaking plain HTTP to an SSL-enabled server port",
	} {
		if strings.Contains(string(body), text) {
			return true
		}
	}
	return false
}

// sample is the beginning of what a server sent, in quotes, for a sentence.
func sample(b []byte) string {
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return "(empty)"
	}
	return quote(b)
}

func quote(b []byte) string {
	return `"` + Visible(string(b[:min(len(b), sampleLimit+1)]), sampleLimit) + `"`
}
