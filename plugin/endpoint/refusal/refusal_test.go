package refusal

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// TestRefusalOf tells refusals from the engine's own answers with such a status.
func TestRefusalOf(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		engine bool // the answer has the engine's API version
		body   string
		words  string // of a refusal; "none" for no refusal
	}{
		"HAProxy":              {403, false, "<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n</body></html>\n", "403 Forbidden Request forbidden by administrative rules."},
		"only a title":         {403, false, "<!DOCTYPE html><head><title>No &amp; no</title><script>x()</script></head>", "No & no"},
		"text":                 {401, false, "say who\n you are\x1b[2J", `say who you are\x1b[2J`},
		"nothing":              {403, false, "", ""},
		"JSON":                 {403, false, `{"message":"no"}`, "no"},
		"another JSON":         {403, false, `{"error":"no"}`, `{"error":"no"}`},
		"an authz plugin":      {403, true, `{"message":"authorization denied by plugin p: no"}`, "authorization denied by plugin p: no"},
		"a predefined network": {403, true, `{"message":"bridge is a pre-defined network and cannot be removed"}`, "none"},
		"a registry":           {401, true, `{"message":"unauthorized"}`, "none"},
		"not found":            {404, false, "", "none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response := &http.Response{
				StatusCode: test.status,
				Header:     http.Header{},
				Body:       io.NopCloser(strings.NewReader(test.body)),
				Request:    &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/v1.41/info"}},
			}
			if test.engine {
				response.Header.Set("Api-Version", "1.41")
			}
			refusal := Of(response)
			assert.Equal(t, refusal == nil, test.words == "none")
			if refusal != nil {
				assert.Equal(t, refusal.Words, test.words)
				assert.Equal(t, refusal.Call, "GET /info")
			}
			body, err := io.ReadAll(response.Body)
			assert.NilError(t, err)
			assert.Equal(t, string(body), test.body)
		})
	}
}

func TestDocumentedPath(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/info":                        "/info",
		"/containers/json?all=1":       "/containers/json",
		"/containers/create":           "/containers/create",
		"/containers/web/start":        "/containers/{id}/start",
		"/containers/web":              "/containers/{id}",
		"/networks/0123/connect":       "/networks/{id}/connect",
		"/images/load":                 "/images/load",
		"/images/host:5/a/b:c/json":    "/images/{name}/json",
		"/images/nestprobe-agent/json": "/images/{name}/json",
	} {
		assert.Equal(t, documented(path), want, path)
	}
}

// TestExplainRefusals explains each of joined errors, and keeps the others.
func TestExplainRefusals(t *testing.T) {
	t.Parallel()
	left := &report.Fault{Cause: APIForbidden, Err: &Refusal{Call: "DELETE /containers/{id}", Status: 403}}
	other := errors.New("another")
	err := Explain(errors.Join(&Refusal{Call: "POST /containers/create", Status: 403}, left, other), nil)
	assert.Assert(t, errors.Is(err, other) && errors.Is(err, left), "%v", err)
	fault := new(report.Fault)
	assert.Assert(t, errors.As(err, &fault))
	assert.Equal(t, fault.Hint, "have the proxy in front of the engine allow POST /containers/create (docker-socket-proxy: set CONTAINERS=1 POST=1 in its environment), or use the engine's own socket")
}
