//go:build linux

package plugin_test

import (
	"io"
	"net/http"
	"regexp"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// frontAnswers are what a proxy in front of an engine's socket, or an engine, answers to
// calls that it does not let pass.
var frontAnswers = map[string]struct {
	status     int
	kind, body string
}{
	// HAProxy 3.2, errors/403.http, which docker-socket-proxy uses
	"page": {http.StatusForbidden, "text/html", "<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n</body></html>\n"},
	// nginx, with a title and without the body's words
	"title":  {http.StatusForbidden, "text/html", "<html><head><title>Nothing for you</title><style>b { }</style></head><body></body></html>"},
	"json":   {http.StatusForbidden, "application/json", `{"message":"this path is not on the list"}`},
	"empty":  {http.StatusForbidden, "text/plain", ""},
	"login":  {http.StatusUnauthorized, "text/plain", "say who you are\n"},
	"plugin": {http.StatusForbidden, "application/json", `{"message":"authorization denied by plugin opa-docker-authz: policy 7"}`}, // moby, pkg/authorization/authz.go
	"fails":  {http.StatusInternalServerError, "application/json", `{"message":"the engine is out of order"}`},
}

// selectFront selects a proxy in front of the engine, which gives an answer to the calls
// that a pattern matches, such as "^POST /containers/create": `front ANSWER PATTERN`. The
// ANSWER "hangs" is none, and a duration delays that of the engine.
func selectFront(ts *testscript.TestScript, _ bool, args []string) {
	s := scriptOf(ts)
	ts.Setenv("DOCKER_HOST", startFront(s, s.engine, args[0], regexp.MustCompile(args[1])))
}

func startFront(s *script, engine *enginetest.Engine, answer string, calls *regexp.Regexp) string {
	engineProxy := proxyTo(engine, func(moment) {})
	delay, _ := time.ParseDuration(answer)
	server := &http.Server{ConnContext: notePeer, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !calls.MatchString(r.Method + " " + apiVersion.ReplaceAllString(r.URL.Path, "/")) {
			engineProxy.ServeHTTP(w, r)
			return
		}
		known, found := frontAnswers[answer]
		switch {
		case found:
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", known.kind)
			w.WriteHeader(known.status)
			_, _ = io.WriteString(w, known.body)
		case delay > 0:
			time.Sleep(delay) // the fault itself
			engineProxy.ServeHTTP(w, r)
		default:
			<-r.Context().Done()
		}
	})}
	return serve(s, server, "unix", newSocketPath(s))
}
