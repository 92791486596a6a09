//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
)

// rule is what a front does wrong: it answers the calls that match in a bad way.
type rule struct {
	call *regexp.Regexp // on "METHOD path", without the API's version
	mode badAnswer
}

// front is a socket before that of an engine. It passes calls on, notes which runs make
// something, and may misbehave, freeze, or be gone.
type front struct {
	path   string
	server *http.Server

	mu          sync.Mutex
	thawed      *sync.Cond
	frozen      bool
	rule        *rule
	made        []string
	listener    net.Listener
	connections map[net.Conn]struct{}
}

func startFront(path, backend string, bad *rule) (*front, error) {
	f := &front{path: path, rule: bad, connections: map[net.Conn]struct{}{}}
	f.thawed = sync.NewCond(&f.mu)
	proxy := &httputil.ReverseProxy{
		Transport: &http.Transport{
			DisableKeepAlives: true, DisableCompression: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "unix", backend)
			},
		},
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
		Rewrite:       func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "engine" },
	}
	f.server = &http.Server{ //nolint:gosec // its only client is the plugin
		ErrorLog: log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			call := r.Method + " " + apiVersion.ReplaceAllString(r.URL.Path, "")
			if bad := f.ruleFor(call); bad != nil {
				bad(w, r)
				return
			}
			if strings.HasSuffix(call, "/create") {
				f.note(r)
			}
			proxy.ServeHTTP(w, r)
		}),
	}
	return f, f.listen()
}

var apiVersion = regexp.MustCompile(`^/v[0-9.]+`)

func (f *front) listen() error {
	listener, err := net.Listen("unix", f.path) //nolint:noctx // local, and closed by close
	if err != nil {
		return err
	}
	if err := os.Chmod(f.path, 0o666); err != nil { //nolint:gosec // a client container's user uses it
		return err
	}
	f.mu.Lock()
	f.listener = listener
	f.mu.Unlock()
	go func() { _ = f.server.Serve(gate{listener, f}) }() // ends with the listener
	return nil
}

func (f *front) ruleFor(call string) badAnswer {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rule == nil || !f.rule.call.MatchString(call) {
		return nil
	}
	return f.rule.mode
}

// runLabel finds the run in the body of a request that makes something.
var runLabel = regexp.MustCompile(`"` + regexp.QuoteMeta(engine.LabelRun) + `":"([0-9a-f]+)"`)

func (f *front) note(r *http.Request) {
	body, _ := io.ReadAll(r.Body) // what is missing is missed by the engine, too
	r.Body = io.NopCloser(bytes.NewReader(body))
	if found := runLabel.FindSubmatch(body); found != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		if run := string(found[1]); !slices.Contains(f.made, run) {
			f.made = append(f.made, run)
		}
	}
}

// runs are the IDs of the runs that have made something.
func (f *front) runs() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.made)
}

// freeze stops all traffic, as a stopped engine does; thaw continues it.
func (f *front) freeze() { f.setFrozen(true) }
func (f *front) thaw()   { f.setFrozen(false) }

func (f *front) setFrozen(frozen bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frozen = frozen
	f.thawed.Broadcast()
}

// die closes the socket and all connections, as an engine that is killed does.
func (f *front) die() {
	f.mu.Lock()
	defer f.mu.Unlock()
	_ = f.listener.Close()
	for c := range f.connections {
		_ = c.Close()
	}
}

// heal ends what the front does wrong.
func (f *front) heal() {
	f.mu.Lock()
	f.rule = nil
	f.mu.Unlock()
	f.thaw()
	if _, err := os.Stat(f.path); errors.Is(err, os.ErrNotExist) {
		_ = f.listen() // the engine is back
	}
}

func (f *front) close() {
	f.thaw()
	f.die()
	_ = f.server.Close()
}

// gate is the listener of a front.
type gate struct {
	net.Listener
	front *front
}

// Accept implements net.Listener.
func (g gate) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	g.front.mu.Lock()
	defer g.front.mu.Unlock()
	gated := &gatedConnection{c, g.front}
	g.front.connections[c] = struct{}{}
	return gated, nil
}

// gatedConnection passes nothing while its front is frozen.
type gatedConnection struct {
	net.Conn
	front *front
}

func (c *gatedConnection) await() {
	c.front.mu.Lock()
	defer c.front.mu.Unlock()
	for c.front.frozen {
		c.front.thawed.Wait()
	}
}

// Read implements net.Conn.
func (c *gatedConnection) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.await()
	return n, err
}

// Write implements net.Conn.
func (c *gatedConnection) Write(p []byte) (int, error) {
	c.await()
	return c.Conn.Write(p)
}

// CloseWrite implements the half-close of streams.
func (c *gatedConnection) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close implements net.Conn.
func (c *gatedConnection) Close() error {
	c.front.mu.Lock()
	delete(c.front.connections, c.Conn)
	c.front.mu.Unlock()
	return c.Conn.Close()
}
