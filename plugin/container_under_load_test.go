//go:build linux

package plugin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// While every network mode is tried, another container under load answers every
// request. Every mode works or has a cause, and no network is left.
func TestNetworksDoNotDisturbOtherContainers(t *testing.T) {
	t.Parallel()
	engine := enginetest.Get(t, enginetest.Linux)
	config := t.TempDir()
	assert.NilError(t, installPlugin(config))
	b := &bench{Engine: engine, api: engine.Client(t), config: config, image: enginetest.TestImage(t, engine)}
	addresses := b.startUserServer(t)
	load := startLoad(t, addresses)
	p := start(t, b.nestprobe(t, inside("--networks", "all", "--access", "socket", "--format", "json")...))
	status := p.status(t)
	requests, errs := load.end()

	assert.Check(t, is.Equal(status, 0), "%s", &p.stderr)
	assert.Check(t, is.Len(errs, 0), "of %d requests", requests)
	assert.Check(t, requests > 100, "%d requests are no load", requests)
	var rep report.Report
	assert.NilError(t, json.Unmarshal([]byte(p.stdout.String()), &rep))
	assert.Equal(t, len(rep.Modes), len(experiment.NetworkModes()))
	for _, m := range rep.Modes {
		assert.Check(t, m.Result != report.ModeFailed, "%+v", m)
		if slices.Contains([]string{"ipv6-only", "macvlan", "ipvlan-l2", "ipvlan-l3", "overlay"}, m.Name) {
			assert.Check(t, m.Result == report.ModeCannot && m.Detail != "", "%+v", m) // not this engine and kernel
			continue
		}
		assert.Check(t, len(m.From) > 0, "%+v", m)
		assert.Check(t, m.Result == report.ModeWorks || m.Cause != "", "%+v", m)
	}
	b.checkNothingLeftOf(t, runOf(t, rep))
}

// runOf is the id of a run, which the names of its servers contain.
func runOf(t *testing.T, rep report.Report) string {
	t.Helper()
	assert.Assert(t, len(rep.Servers) > 0)
	parts := strings.Split(rep.Servers[0].Name, "-")
	assert.Assert(t, len(parts) > 2, rep.Servers[0].Name)
	return parts[1]
}

// checkNothingLeftOf checks that nothing of a run is left on an engine that other tests
// use too.
func (b *bench) checkNothingLeftOf(t *testing.T, run string) {
	t.Helper()
	label := filters.NewArgs(filters.Arg("label", engine.LabelRun+"="+run))
	containers, err := b.api.ContainerList(t.Context(), container.ListOptions{All: true, Filters: label})
	assert.NilError(t, err)
	assert.Check(t, is.Len(containers, 0))
	networks, err := b.api.NetworkList(t.Context(), network.ListOptions{Filters: label})
	assert.NilError(t, err)
	assert.Check(t, is.Len(networks, 0))
}

// startUserServer starts a container as a user would, and returns the addresses at which
// it answers: a published port, and the container's own.
func (b *bench) startUserServer(t *testing.T) []string {
	t.Helper()
	const port = nat.Port("8080/tcp")
	created, err := b.api.ContainerCreate(t.Context(),
		&container.Config{Image: b.image, Cmd: []string{"--websocket", "/ws"}, ExposedPorts: nat.PortSet{port: {}}},
		&container.HostConfig{PortBindings: nat.PortMap{port: {{HostIP: "127.0.0.1"}}}}, nil, nil, "")
	assert.NilError(t, err)
	t.Cleanup(func() {
		assert.Check(t, b.api.ContainerRemove(context.WithoutCancel(t.Context()), created.ID, container.RemoveOptions{Force: true}))
	})
	assert.NilError(t, b.api.ContainerStart(t.Context(), created.ID, container.StartOptions{}))
	inspected, err := b.api.ContainerInspect(t.Context(), created.ID)
	assert.NilError(t, err)
	settings := inspected.NetworkSettings
	addresses := []string{
		"127.0.0.1:" + settings.Ports[port][0].HostPort,
		settings.Networks["bridge"].IPAddress + ":" + port.Port(),
	}
	for _, address := range addresses {
		awaitAnswer(t, address)
	}
	return addresses
}

func awaitAnswer(t *testing.T, address string) {
	t.Helper()
	var err error
	answers := func() bool {
		err = get(t.Context(), http.DefaultClient, address)
		return err == nil
	}
	if !eventually(hangs, answers) {
		t.Fatalf("the user's container does not answer: %v", err)
	}
}

// get requests a page of a test server.
func get(ctx context.Context, client *http.Client, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", http.NoBody)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(response.Body)
	if err == nil && (response.StatusCode != http.StatusOK || string(body) != "ok") {
		err = fmt.Errorf("%s: %s %q", address, response.Status, body)
	}
	return err
}

// load keeps a container busy.
type load struct {
	stop    context.CancelFunc
	working sync.WaitGroup

	mu       sync.Mutex
	requests int
	errs     []error
}

// loadPace is the pause between two requests of a worker. With four workers, it keeps
// the closed connections below the number of ports that a machine has for them.
const loadPace = 5 * time.Millisecond

// startLoad sends requests to each address over lasting and over new connections, and
// messages over a WebSocket.
func startLoad(t *testing.T, addresses []string) *load {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	l := &load{stop: stop}
	t.Cleanup(func() { l.end() })
	for _, address := range addresses {
		for _, lasting := range []bool{true, false} {
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: !lasting}, Timeout: hangs}
			l.work(ctx, func() error { return get(ctx, client, address) })
		}
	}
	socket, _, err := websocket.Dial(ctx, "ws://"+addresses[0]+"/ws", nil) //nolint:bodyclose // package websocket closes it
	assert.NilError(t, err)
	t.Cleanup(func() { _ = socket.CloseNow() })
	l.work(ctx, func() error {
		if err := socket.Write(ctx, websocket.MessageText, []byte("still there?")); err != nil {
			return err
		}
		_, _, err := socket.Read(ctx)
		return err
	})
	return l
}

// work repeats a request until the load ends.
func (l *load) work(ctx context.Context, once func() error) {
	l.working.Go(func() {
		ticker := time.NewTicker(loadPace)
		defer ticker.Stop()
		for ctx.Err() == nil {
			if err := once(); ctx.Err() == nil {
				l.note(err)
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
			}
		}
	})
}

func (l *load) note(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	if err != nil {
		l.errs = append(l.errs, err)
	}
}

// end stops the load and returns the number of requests, and the errors of those that
// failed.
func (l *load) end() (int, []error) {
	l.stop()
	l.working.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.requests, slices.Clone(l.errs)
}
