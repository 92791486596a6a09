package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/client"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
)

// runningRole is a role that runs, with its stdin and stdout.
type runningRole struct {
	stdin  *io.PipeWriter
	stdout *json.Decoder
	stderr bytes.Buffer // read it after the end
	ended  chan int
}

func startRole(t *testing.T, name string) *runningRole {
	t.Helper()
	in, stdin := io.Pipe()
	stdout, out := io.Pipe()
	r := &runningRole{stdin: stdin, stdout: json.NewDecoder(stdout), ended: make(chan int, 1)}
	go func() { // ends with stdin
		r.ended <- run(t.Context(), []string{name}, stdio{in: in, out: out, err: &r.stderr})
		_ = out.Close()
		_ = in.Close()
	}()
	t.Cleanup(func() { _ = stdin.Close() })
	return r
}

func (r *runningRole) send(t *testing.T, document any) {
	t.Helper()
	assert.NilError(t, json.NewEncoder(r.stdin).Encode(document))
}

// sendJob sends a Job, and waits for the message that it was read.
func (r *runningRole) sendJob(t *testing.T, job client.Job) {
	t.Helper()
	r.send(t, job)
	var read client.Message
	assert.NilError(t, r.stdout.Decode(&read))
	assert.DeepEqual(t, read, client.Message{})
}

// Each request is answered when it is done, not in the order of arrival. The end of stdin
// ends the requests that are not done.
func TestProbe(t *testing.T) {
	t.Parallel()
	slow, release := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(slow)
			<-release
		}
		_, _ = io.WriteString(w, "this is "+r.URL.Path)
	}))
	defer server.Close()
	defer close(release)
	request := func(number int, path string) engine.ProbeRequest {
		return engine.ProbeRequest{Number: number, Race: netprobe.Race{
			Timeout: time.Hour, Wait: time.Hour,
			Attempts: []netprobe.Attempt{{Target: netprobe.Target{
				Scheme: netprobe.HTTP, Address: strings.TrimPrefix(server.URL, "http://"), Path: path,
				Expect: netprobe.Expect{Status: http.StatusOK},
			}}},
		}}
	}
	r := startRole(t, "probe")
	r.send(t, request(1, "/slow"))
	<-slow
	r.send(t, request(2, "/quick"))
	var reply engine.ProbeReply
	assert.NilError(t, r.stdout.Decode(&reply))
	assert.Check(t, is.Equal(reply.Number, 2))
	assert.Assert(t, is.Len(reply.Results, 1))
	got := reply.Results[0]
	assert.Check(t, got.OK && got.Status == http.StatusOK && got.Attempts == 1 && got.Body == "this is /quick", "%+v", got)

	assert.NilError(t, r.stdin.Close())
	assert.NilError(t, r.stdout.Decode(&reply))
	assert.Check(t, is.Equal(reply.Number, 1))
	assert.Check(t, !reply.Results[0].OK)
	assert.Check(t, is.Equal(<-r.ended, exitOK), "%s", &r.stderr)
}

// withoutAPI sends a client and a relay work with an API that does not exist, and passes
// their outcomes to check.
func withoutAPI(t *testing.T, timeout time.Duration, meanwhile func(*testing.T, *runningRole), check func(*testing.T, *client.Outcome)) {
	t.Helper()
	missing, err := connection.NewSettings("", "unix:///nestprobe-nowhere.sock").Carry()
	assert.NilError(t, err)
	for _, role := range []string{"client", "relay"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			r := startRole(t, role)
			r.sendJob(t, client.Job{Endpoint: missing, StartTimeout: timeout})
			meanwhile(t, r)
			var message client.Message
			assert.NilError(t, r.stdout.Decode(&message))
			assert.Assert(t, message.Outcome != nil && !message.Outcome.Connected, "%+v", message)
			check(t, message.Outcome)
			_ = r.stdin.Close() // if meanwhile has not
			assert.Check(t, is.Equal(<-r.ended, exitOK), "%s", &r.stderr)
		})
	}
}

// A role that has sent its result runs until stdin ends.
func TestRunsUntilStdinEnds(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"client", "relay", "probe"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			r := startRole(t, role)
			if role == "probe" {
				r.send(t, engine.ProbeRequest{Listeners: true})
			} else {
				r.sendJob(t, client.Job{})
			}
			var outcome map[string]any
			assert.NilError(t, r.stdout.Decode(&outcome))
			select {
			case <-r.ended:
				t.Fatal("it ended before stdin did")
			case <-time.After(100 * time.Millisecond): // there is no event for nothing happening
			}
			assert.NilError(t, r.stdin.Close())
			assert.Check(t, is.Equal(<-r.ended, exitOK), "%s", &r.stderr)
		})
	}
}

// It returns at the end of stdin, or after stdinEndLimit.
func TestAwaitStdinEnd(t *testing.T) {
	t.Parallel()
	for after, want := range map[time.Duration]time.Duration{time.Second: time.Second, time.Hour: stdinEndLimit} {
		synctest.Test(t, func(t *testing.T) {
			began, over := time.Now(), make(chan struct{})
			stdinEnd := time.AfterFunc(after, func() { close(over) })
			defer stdinEnd.Stop()
			awaitStdinEnd(over)
			assert.Check(t, is.Equal(time.Since(began), want))
		})
	}
}

// A client or relay whose API does not exist reports that with the cause, and does not
// wait for a Release.
func TestNoAPI(t *testing.T) {
	t.Parallel()
	withoutAPI(t, 0, func(*testing.T, *runningRole) {}, func(t *testing.T, outcome *client.Outcome) {
		t.Helper()
		assert.Assert(t, outcome.Fault != nil, "%s", outcome.Error)
		assert.Check(t, is.Equal(outcome.Fault.Cause, connection.DockerSocketMissing))
	})
}

// Waiting for an engine that is still starting ends with stdin, and with a document that
// is not a Release.
func TestWaitForEngineEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testing.T, *runningRole){
		"with stdin":                            func(t *testing.T, r *runningRole) { t.Helper(); assert.NilError(t, r.stdin.Close()) },
		"with a document that is not a Release": func(t *testing.T, r *runningRole) { t.Helper(); r.send(t, client.Release{}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withoutAPI(t, time.Hour, end, func(*testing.T, *client.Outcome) {})
		})
	}
}

func TestInvalidWork(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"client", "relay"} {
		for name, stdin := range map[string]string{"nothing": "", "no JSON": "hush hush", "cut short": `{"run":"hush`} {
			t.Run(role+" "+name, func(t *testing.T) {
				t.Parallel()
				var stdout, stderr bytes.Buffer
				code := run(t.Context(), []string{role}, stdio{in: strings.NewReader(stdin), out: &stdout, err: &stderr})
				assert.Check(t, is.Equal(code, exitFailed))
				assert.Check(t, strings.HasPrefix(stderr.String(), "nestprobe-agent: reading the work: "), "%s", &stderr)
				assert.Check(t, !strings.Contains(stderr.String(), "hush"), "it quotes what may be secret: %s", &stderr)
				assert.Check(t, is.Equal(stdout.String(), ""))
			})
		}
	}
}
