//go:build linux

package plugin_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
)

// A context may end at any request to the engine, before the request or before its
// answer. No container and no goroutine is left then, unless the error says so.
func TestContextCancelledAtAnyRequest(t *testing.T) { //nolint:tparallel // one engine, on which each looks for what is left
	t.Parallel()
	b := newBench(t, enginetest.Toolbox)
	b.api.NegotiateAPIVersion(t.Context())
	assert.Equal(t, b.succeeds(t, "run", "-q"), "") // to have the agent on the engine
	requests := map[string]experiment.Request{
		"built-in": {Port: 4647, Target: netprobe.Target{Path: "/foo", WebSocket: "/ws"}, Servers: 2, Connection: experiment.Connection{Temporary: []engine.TemporaryNetwork{{}}}},
		"user's":   {Port: 8080, Target: netprobe.Target{Path: "/"}, Servers: 1, Image: b.image},
	}
	for name, request := range requests {
		request.Target.Scheme, request.Target.Expect.Status, request.PublishPort = netprobe.HTTP, 200, true
		request.Wait, request.Timeout, request.Pull = 5*time.Second, time.Second, engine.PullNever
		t.Run(name, func(t *testing.T) {
			n := 1
			for b.cancelAt(t, request, n, n%2 == 0) { // by turns when it is requested and when it is answered
				n++
			}
			assert.Check(t, n > 8, "there were only %d requests", n-1)
		})
	}
}

// cancelAt runs an experiment and ends its context at the nth request. It
// returns false when there were fewer.
func (b *bench) cancelAt(t *testing.T, request experiment.Request, n int, answered bool) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var at atomic.Pointer[moment]
	tap := startTap(t, b.Engine, func(m moment) {
		if m.Number == n && m.Answered == answered {
			at.Store(&m)
			cancel()
		}
	})
	api, err := client.NewClientWithOpts(client.WithHost(tap.Host), client.WithVersion(b.api.ClientVersion()))
	assert.NilError(t, err)
	engine := engine.Engine{API: api, Host: b.Address, Describe: describe(api), AgentImage: b.agent}
	began := time.Now()
	_, err = experiment.Run(ctx, engine, request, experiment.Options{Progress: silence{}, Vantage: probing.Vantage{Name: probing.VantageHost}})
	if at.Load() == nil {
		assert.NilError(t, err)
		return false
	}
	t.Logf("%d: %+v: %v after %s", n, *at.Load(), err, time.Since(began))
	assert.Check(t, err == nil || errors.Is(err, context.Canceled), "%v", err)
	if err != nil && strings.Contains(err.Error(), "removing ") {
		removeLeft(t, b.Engine)
	}
	checkNothingLeft(t, b.Engine)
	assert.NilError(t, api.Close())
	checkGoroutines(t)
	return true
}

func describe(api client.APIClient) func(context.Context) (connection.Description, error) {
	return func(ctx context.Context) (connection.Description, error) {
		_, err := api.ServerVersion(ctx)
		return connection.Description{}, err
	}
}

// agent is the reference of the agent's image, which is on the engine.
func (b *bench) agent(ctx context.Context) (string, error) {
	images, err := b.api.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(filters.Arg("label", "io.nestprobe.agent"))})
	if err != nil {
		return "", err
	}
	return images[0].RepoTags[0], nil
}

// silence is a Progress that prints nothing.
type silence struct{}

func (silence) Step(string) func()          { return func() {} }
func (silence) Pull(stream io.Reader) error { _, err := io.Copy(io.Discard, stream); return err }
func (silence) Note(string)                 {}

// checkGoroutines waits for the goroutines of experiments to end. No other test
// of this package runs an experiment in this process.
func checkGoroutines(t *testing.T) {
	t.Helper()
	if !eventually(hangs, func() bool { return len(experimentGoroutines()) == 0 }) {
		t.Fatalf("goroutines left behind:\n%s", strings.Join(experimentGoroutines(), "\n\n"))
	}
}

func experimentGoroutines() []string {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	var left []string
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(stack, "plugin_test.") || strings.Contains(stack, "docker-nestprobe/plugin/enginetest") {
			continue
		}
		if strings.Contains(stack, "docker-nestprobe/plugin/") || strings.Contains(stack, "docker-nestprobe/netprobe.") ||
			strings.Contains(stack, "Client).ContainerWait") {
			left = append(left, stack)
		}
	}
	return left
}
