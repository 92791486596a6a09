package connection

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/bounds"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/refusal"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// watchedTransport sends the requests of docker's client within bounds. It turns an answer
// that forbids a call into a [refusal.Refusal], and notes how long each answer took. The
// client does neither: its errors do not say which call failed.
type watchedTransport struct {
	base *http.Transport
	next *bounds.Transport // sends through base

	mu     sync.Mutex
	calls  []Call
	engine headers // of the engine's last answer
}

// headers are what an engine says of itself in every answer (moby,
// api/server/middleware/version.go; Podman, pkg/api/server/handler_api.go).
type headers struct {
	server string // such as "Docker/20.10.24 (linux)" or "Libpod/4.3.1 (linux)"
	os     string
}

// Call is a call that was answered.
type Call struct {
	Name string // such as "GET /info"
	Took time.Duration
}

// RoundTrip implements http.RoundTripper.
func (t *watchedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	began := time.Now()
	response, err := t.next.RoundTrip(request)
	if err != nil {
		slog.DebugContext(request.Context(), "Docker API", "call", request.Method+" "+request.URL.RequestURI(), "took", time.Since(began), "error", err)
		return nil, err
	}
	slog.DebugContext(request.Context(), "Docker API", "call", request.Method+" "+request.URL.RequestURI(), "took", time.Since(began), "status", response.StatusCode)
	t.note(Call{Name: refusal.CallOf(request), Took: time.Since(began)}, response.Header)
	if refused := refusal.Of(response); refused != nil {
		_ = response.Body.Close()
		return nil, refused
	}
	return response, nil
}

// maxCalls bounds how many calls are noted. A relay makes calls as long as it runs.
const maxCalls = 1000

func (t *watchedTransport) note(call Call, answer http.Header) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if answer.Get("Api-Version") != "" {
		t.engine = headers{server: answer.Get("Server"), os: answer.Get("Ostype")}
	}
	if len(t.calls) < maxCalls {
		t.calls = append(t.calls, call)
	}
}

// Calls returns the calls that were answered so far, with the time to the first byte of
// each answer.
func (c *Connection) Calls() []Call {
	c.calls.mu.Lock()
	defer c.calls.mu.Unlock()
	return append([]Call(nil), c.calls.calls...)
}

// engineHeaders returns what the engine's answers so far say of it.
func (t *watchedTransport) engineHeaders() headers {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.engine
}

// product is the engine's name and version.
func (h headers) product() (name, version string) {
	name, version, _ = strings.Cut(h.server, "/")
	version, _, _ = strings.Cut(version, " ")
	switch name {
	case "Docker":
		return "Docker Engine", version
	case "Libpod":
		return "Podman Engine", version
	default:
		return "", ""
	}
}

// TryCalls tries each call that nestprobe needs, all in parallel, each for limit at most.
// It makes and changes nothing on the engine.
func (c *Connection) TryCalls(ctx context.Context, limit time.Duration) []refusal.TriedCall {
	return refusal.TryCalls(func(method, path, body string) (*http.Response, error) {
		return c.request(ctx, limit, method, c.wire.base.Scheme, "/v"+c.client.ClientVersion()+path, strings.NewReader(body))
	})
}

// Unanswered returns the fault of the calls among some that were not answered within a
// limit, one for all; nil if there is none.
func Unanswered(tried []refusal.TriedCall, limit time.Duration) *report.Fault {
	var calls []string
	for _, t := range tried {
		if t.Err != nil && (isTimeout(t.Err) || bounds.Is(t.Err)) {
			calls = append(calls, t.Call)
		}
	}
	if len(calls) == 0 {
		return nil
	}
	return unreachable(sentence.Of(nil, "no answer within %s to %s", limit, strings.Join(calls, ", ")),
		"look at the engine's log for why it does not answer, and restart it if it is stuck",
		fmt.Sprintf("no answer within %s: %s", limit, strings.Join(calls, ", ")))
}
