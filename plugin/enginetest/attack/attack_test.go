//go:build linux

package main

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// requestRole is the argument with which this program is the command of TestLateLeftovers.
const requestRole = "request-network"

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == requestRole {
		requestNetwork()
		return
	}
	os.Exit(m.Run())
}

func requestNetwork() {
	api, err := client.NewClientWithOpts(client.FromEnv, client.WithVersion("1.41"))
	if err == nil {
		_, err = api.NetworkCreate(context.Background(), "late", network.CreateOptions{Labels: map[string]string{engine.LabelRun: "0a1b"}})
	}
	if err != nil {
		panic(err)
	}
}

// Every hostile server is probed within bounds, and none is taken for a good one.
func TestHostileServers(t *testing.T) {
	t.Parallel()
	assert.Check(t, len(hostileWays()) >= 40)
	good := []string{"endless-body", "endless-chunks", "false-gzip", "http-9.9", "websocket-continue", "websocket-frame", "websocket-pings"} // the body, or its beginning, is what is expected
	for _, way := range hostileWays() {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
			assert.NilError(t, err)
			t.Cleanup(func() { _ = listener.Close() })
			go func() { // ends with the listener
				for {
					c, err := listener.Accept()
					if err != nil {
						return
					}
					go func() { // ends with the connection
						defer c.Close() //nolint:errcheck // the client is not to know
						hostileAnswers()[way](c)
					}()
				}
			}()
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			target := netprobe.Target{Address: listener.Addr().String(), Path: "/foo", Expect: netprobe.Expect{Status: 200, Body: "foo"}}
			result := netprobe.Probe(ctx, target, netprobe.Options{Timeout: 300 * time.Millisecond})
			assert.Check(t, time.Since(began) < 10*time.Second, "it took %s", time.Since(began))
			if result.OK {
				assert.Check(t, is.Contains(good, way), "%+v", result)
			}
			assert.Check(t, !rawControl.MatchString(result.Body+result.Detail), "%q %q", result.Body, result.Detail)
		})
	}
}

// An engine that answers the first call badly is a fault with a cause, or an engine that only
// this call is bad of, within bounds. Answers without an end are left out: they take as long as
// the bound of the call, which make attack waits for.
func TestBadFirstAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range badAnswers() {
		if slices.Contains([]string{"hang", "drip", "deep"}, name) || strings.HasPrefix(name, "endless") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder, err := os.MkdirTemp("", "attack") //nolint:usetesting // a socket's path is short
			assert.NilError(t, err)
			t.Cleanup(func() { _ = os.RemoveAll(folder) })
			f, err := startFront(filepath.Join(folder, "s"), "/nonexistent", &rule{regexp.MustCompile(""), answer})
			assert.NilError(t, err)
			t.Cleanup(f.close)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a million networks took more than 30 s with the race detector on a busy machine
			defer cancel()
			opened, err := connection.Open(ctx, connection.NewSettings("default", "unix://"+f.path))
			assert.NilError(t, ctx.Err())
			if err == nil {
				opened.Close()
				return
			}
			assert.Check(t, errors.As(err, new(*report.Fault)), "%v", err)
		})
	}
}

// What the engine makes after the end of the command that requested it is counted. The engine is a
// fake, since a real one is not late when a test wants it to be.
func TestLateLeftovers(t *testing.T) {
	t.Parallel()
	const late = 300 * time.Millisecond
	folder, err := os.MkdirTemp("", "attack") //nolint:usetesting // a socket's path is short
	assert.NilError(t, err)
	t.Cleanup(func() { assert.Check(t, os.RemoveAll(folder)) })
	socket := filepath.Join(folder, "engine")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	assert.NilError(t, err)
	var mu sync.Mutex
	var requested time.Time // that a network is created
	removed := false
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		switch call := r.Method + " " + apiVersion.ReplaceAllString(r.URL.Path, ""); {
		case call == "POST /networks/create":
			requested = time.Now()
			_, _ = io.WriteString(w, `{"Id":"0a1b"}`)
		case r.Method == http.MethodDelete:
			removed = true
			w.WriteHeader(http.StatusNoContent)
		case call == "GET /networks" && !removed && !requested.IsZero() && time.Since(requested) > late:
			_, _ = io.WriteString(w, `[{"Name":"late","Id":"0a1b"}]`)
		default:
			_, _ = io.WriteString(w, "[]")
		}
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		assert.Check(t, server.Close())
		assert.Check(t, is.ErrorIs(<-served, http.ErrServerClosed))
	})
	api, err := client.NewClientWithOpts(client.WithHost("unix://"+socket), client.WithVersion("1.41"))
	assert.NilError(t, err)
	t.Cleanup(func() { assert.Check(t, api.Close()) })
	program, err := os.Executable()
	assert.NilError(t, err)
	r := &firingRange{plugin: program, folder: folder, engine: api, socket: socket, parallel: 1, settle: 2 * late, random: rand.New(rand.NewPCG(1, 0))}
	f, err := r.launch(t.Context(), attack{name: "late", trials: []trial{{args: []string{requestRole}, bound: time.Minute, codes: []int{0}}}}).wait()
	assert.NilError(t, err)
	assert.Check(t, is.Equal(f.wrong, 0), "%v", f.notes)
	assert.Check(t, is.Equal(f.left, 1))
	assert.Check(t, removed)
}

// What a run leaves that is killed at some instants, and one that is interrupted twice, is gone
// within 15 s. `make attack` does so at random ones.
func TestKilledAtInstants(t *testing.T) {
	t.Parallel()
	e := enginetest.Get(t, enginetest.Engine28_5)
	plugin, err := filepath.Abs("../../../bin/docker-nestprobe")
	assert.NilError(t, err)
	_, err = os.Stat(plugin)
	assert.NilError(t, err, "run make build first")
	r := &firingRange{plugin: plugin, folder: t.TempDir(), engine: e.Client(t), socket: e.Socket, parallel: 2, random: rand.New(rand.NewPCG(1, 0))}
	first, err := r.try(t.Context(), trial{args: []string{"run", "-q"}, bound: time.Minute}, func() {}) // loads the agent's image
	assert.NilError(t, err)
	assert.Assert(t, first.made > 0, "%s", first)
	a := attack{name: "killed"}
	args := []string{"run", "--network-driver", "bridge", "--wait", "3s"}
	began := time.Now()
	_, err = r.try(t.Context(), trial{args: args, bound: time.Minute}, func() {})
	assert.NilError(t, err)
	whole := time.Since(began) // the machine may be busy
	r.settle = settleLimit
	kill := func(p *os.Process, _ *front, _ <-chan struct{}) { _ = p.Kill() }
	for _, after := range []time.Duration{whole / 10, whole / 3, whole * 2 / 3} {
		a.trials = append(a.trials, trial{args: args, what: "SIGKILL", bound: killBound, after: after, hit: kill})
	}
	a.trials = append(a.trials, trial{args: args, what: "SIGINT, twice", bound: interruptBound, codes: interruptCodes(), after: 250 * time.Millisecond, hit: interrupt(50 * time.Millisecond)})
	f, err := r.launch(t.Context(), a).wait()
	assert.NilError(t, err)
	assert.Check(t, f.ok(), "%v", f.notes)
	assert.Check(t, is.Equal(f.trials, len(a.trials)))
	assert.Check(t, f.made > 0, "no run made anything")
}
