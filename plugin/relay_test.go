//go:build linux

package plugin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/docker/docker/api/types/container"
	"github.com/vishvananda/netns"
	"golang.org/x/sync/errgroup"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// relayBench is an engine with a kept relay on it.
type relayBench struct {
	*bench
	urls   []string // of its servers
	stderr string   // of the command
	client *http.Client
}

// keepRelay starts a relay with a number of servers and leaves it running.
func keepRelay(t *testing.T, b *bench, servers int, args ...string) *relayBench {
	t.Helper()
	args = append([]string{"in-container", "--relay", "--servers", itoa(servers), "--keep", "--format", "json"}, args...)
	p := start(t, b.nestprobe(t, args...))
	assert.Equal(t, p.status(t), 0, "%s%s", &p.stdout, &p.stderr)
	var rep report.Report
	assert.NilError(t, json.Unmarshal([]byte(p.stdout.String()), &rep))
	var urls []string
	for _, best := range rep.Best {
		if best.Vantage == probing.VantageHost {
			urls = append(urls, best.URL)
		}
	}
	transport := &http.Transport{DialContext: dialAsClient(b.Engine), MaxIdleConnsPerHost: 200}
	t.Cleanup(transport.CloseIdleConnections)
	r := &relayBench{bench: b, urls: urls, stderr: p.stderr.String(), client: &http.Client{Transport: transport}}
	assert.Assert(t, is.Len(r.urls, servers))
	r.checkKept(t, servers)
	return r
}

// checkKept checks that the relay is kept, within its limits, and its servers as long as it
// runs.
func (r *relayBench) checkKept(t *testing.T, servers int) {
	t.Helper()
	kept := r.containers(t)
	kept = slices.DeleteFunc(kept, isGuard)
	assert.Assert(t, is.Len(kept, servers+1))
	for _, c := range kept {
		deadline := c.Labels[engine.LabelDeadline]
		if isClient(c) {
			assert.Check(t, is.Equal(deadline, "never"))
			found, err := r.api.ContainerInspect(t.Context(), c.ID)
			assert.NilError(t, err)
			assert.Check(t, found.HostConfig.Memory > 0 && found.HostConfig.PidsLimit != nil && *found.HostConfig.PidsLimit > 0)
			continue
		}
		_, err := time.Parse(time.RFC3339, deadline)
		assert.Check(t, err, "%v", c.Names)
		assert.Check(t, is.Equal(c.Labels[engine.LabelRunner], r.relay(t)), "%v", c.Names)
	}
}

// isGuard says whether a container is the guard of a relay.
func isGuard(c container.Summary) bool { return strings.HasSuffix(c.Names[0], "-guard") }

// dialAsClient dials where the clients of an engine are. A socket stays in the network
// namespace in which it was made; the thread that made it ends with its goroutine.
func dialAsClient(engine *enginetest.Engine) func(ctx context.Context, network, address string) (net.Conn, error) {
	var dialer net.Dialer
	if engine.Netns == "" {
		return dialer.DialContext
	}
	return func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		dialled := make(chan struct{})
		go func() { // awaited below
			defer close(dialled)
			runtime.LockOSThread()
			var namespace netns.NsHandle
			if namespace, err = netns.GetFromPath(engine.Netns); err != nil {
				return
			}
			defer func() { _ = namespace.Close() }()
			if err = netns.Set(namespace); err == nil {
				conn, err = dialer.DialContext(ctx, network, address)
			}
		}()
		<-dialled
		return conn, err
	}
}

// get sends a request to a server through the relay, and returns the status, the body
// and the server's identity.
func (r *relayBench) get(ctx context.Context, url string) (status int, body, identity string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", "", err
	}
	response, err := r.client.Do(request)
	if err != nil {
		return 0, "", "", err
	}
	data, err := io.ReadAll(response.Body)
	return response.StatusCode, string(data), response.Header.Get(netprobe.IdentityHeader), errors.Join(err, response.Body.Close())
}

// server finds the container that answers at a URL.
func (r *relayBench) server(t *testing.T, url string) string {
	t.Helper()
	status, body, identity, err := r.get(t.Context(), url+"/foo")
	assert.NilError(t, err)
	assert.Assert(t, status == http.StatusOK && identity != "", "%d %s", status, body)
	for _, c := range r.containers(t) {
		found, err := r.api.ContainerInspect(t.Context(), c.ID)
		assert.NilError(t, err)
		if slices.Contains(found.Config.Cmd, identity) {
			return c.ID
		}
	}
	t.Fatalf("no container has the identity that %s answers with", url)
	return ""
}

// relay is the id of the relay's container.
func (r *relayBench) relay(t *testing.T) string {
	t.Helper()
	for _, c := range r.containers(t) {
		if isClient(c) {
			return c.ID
		}
	}
	t.Fatal("there is no relay")
	return ""
}

const (
	loadSockets  = 100
	loadServers  = 10
	loadMessages = 20 // of a socket, before the kill and after it
	loadRequests = 2000
	messageBytes = 64 << 10
)

// A hundred WebSockets and two thousand requests go to ten servers. One server is
// killed: only its sockets break. In the end the relay is killed, and nothing is left.
func TestRelayUnderLoad(t *testing.T) {
	t.Parallel()
	onEach(t, privateKinds(), func(t *testing.T, b *bench) {
		r := keepRelay(t, b, loadServers)
		const victim = 3
		dead := r.server(t, r.urls[victim])

		ctx, end := context.WithCancel(t.Context())
		defer end()
		killed := make(chan struct{})
		var victims, warm sync.WaitGroup
		victims.Add(loadSockets / loadServers)
		warm.Add(loadSockets)
		var others, broken, requests errgroup.Group
		open := make([]*socket, loadSockets)
		for i := range open {
			s := r.dial(t, i, i%loadServers)
			open[i] = s
			if s.server == victim {
				broken.Go(func() error { return s.echoUntilBroken(ctx, warm.Done) })
				continue
			}
			others.Go(func() error {
				err := s.echo(ctx, loadMessages)
				warm.Done()
				<-killed
				return errors.Join(err, s.echo(ctx, loadMessages))
			})
		}
		requests.Go(func() error { return r.sendRequests(ctx, victim) })
		warm.Wait()
		assert.NilError(t, r.api.ContainerKill(t.Context(), dead, "KILL"))
		close(killed)
		assert.NilError(t, others.Wait())
		assert.NilError(t, broken.Wait())
		assert.NilError(t, requests.Wait())

		assert.Check(t, r.server(t, r.urls[victim]) != dead)
		for i, s := range open {
			if s.server == victim {
				open[i] = r.dial(t, i, victim)
			}
			assert.Check(t, open[i].echo(ctx, 1), "socket %d", i)
		}
		r.killRelay(t, open)
	})
}

// killRelay kills the relay while sockets are open, and waits until nothing is left.
func (r *relayBench) killRelay(t *testing.T, open []*socket) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hangs)
	defer cancel()
	assert.NilError(t, r.api.ContainerKill(t.Context(), r.relay(t), "KILL"))
	began := time.Now()
	for _, s := range open {
		_, _, err := s.conn.Read(ctx)
		assert.Check(t, err != nil && ctx.Err() == nil, "the relay is gone, and socket %d is open", s.number)
	}
	r.awaitGone(t)
	t.Logf("nothing left %s after the relay was killed", time.Since(began).Round(time.Millisecond))
	checkNothingLeft(t, r.Engine)
}

// sendRequests sends requests to all servers in turn. Only those to the victim may fail,
// with an error that names it.
func (r *relayBench) sendRequests(ctx context.Context, victim int) error {
	var group errgroup.Group
	group.SetLimit(20)
	identities := make([]sync.Map, len(r.urls))
	for i := range loadRequests {
		server := i % len(r.urls)
		group.Go(func() error {
			status, body, identity, err := r.get(ctx, r.urls[server]+"/foo")
			identities[server].Store(identity, true)
			switch {
			case err != nil:
				return err
			case status == http.StatusOK && body == "foo" && identity != "":
				return nil
			case server == victim && status == http.StatusBadGateway && strings.HasPrefix(body, "server 4 "):
				identities[server].Delete(identity)
				return nil
			default:
				return fmt.Errorf("server %d: %d %s", server+1, status, body)
			}
		})
	}
	err := group.Wait()
	for i := range identities {
		var all []any
		identities[i].Range(func(identity, _ any) bool { all = append(all, identity); return true })
		if len(all) != 1 && (i != victim || len(all) > 0) { // the victim may have had time for none
			err = errors.Join(err, fmt.Errorf("server %d answered with the identities %v", i+1, all))
		}
	}
	return err
}

// socket is a WebSocket to a server that echoes.
type socket struct {
	number, server int
	conn           *websocket.Conn
	sent, received *rand.ChaCha8 // generate the messages
	buffer         []byte
}

func (r *relayBench) dial(t *testing.T, number, server int) *socket {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), r.urls[server]+"/ws", &websocket.DialOptions{HTTPClient: r.client}) //nolint:bodyclose // package websocket closes it
	assert.NilError(t, err, "socket %d to server %d", number, server+1)
	t.Cleanup(func() { _ = conn.CloseNow() })
	conn.SetReadLimit(messageBytes)
	seed := [32]byte{byte(number), byte(server)}
	return &socket{
		number: number, server: server, conn: conn,
		sent: rand.NewChaCha8(seed), received: rand.NewChaCha8(seed), buffer: make([]byte, messageBytes),
	}
}

// echo sends messages and reads them back at the same time.
func (s *socket) echo(ctx context.Context, messages int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		for range messages {
			if err := s.write(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	group.Go(func() error {
		for n := range messages {
			if err := s.read(ctx); err != nil {
				return fmt.Errorf("socket %d to server %d, message %d: %w", s.number, s.server+1, n, err)
			}
		}
		return nil
	})
	return group.Wait()
}

// echoUntilBroken sends and reads messages until the server dies. Until then each must be
// echoed.
func (s *socket) echoUntilBroken(ctx context.Context, warm func()) error {
	warm = sync.OnceFunc(warm)
	defer warm()
	for n := 0; ; n++ {
		err := s.write(ctx)
		if err == nil {
			err = s.read(ctx)
		}
		switch {
		case errors.Is(err, errOtherMessage), ctx.Err() != nil:
			return fmt.Errorf("socket %d to server %d, message %d: %w", s.number, s.server+1, n, err)
		case err != nil:
			return nil
		case n == loadMessages:
			warm()
		}
	}
}

func (s *socket) write(ctx context.Context) error {
	message := make([]byte, messageBytes)
	_, _ = s.sent.Read(message)
	return s.conn.Write(ctx, websocket.MessageBinary, message)
}

var errOtherMessage = errors.New("this is another message, or a part of one")

func (s *socket) read(ctx context.Context) error {
	_, message, err := s.conn.Read(ctx)
	if err != nil {
		return err
	}
	_, _ = s.received.Read(s.buffer)
	if !bytes.Equal(message, s.buffer) {
		return errOtherMessage
	}
	return nil
}

// A relay that is stopped removes its servers. A built-in server ends with the relay even
// if that is killed, and a guard removes servers from a user's image and a temporary
// network. The command that --keep has printed removes all of it, and a running relay.
func TestRelayEnds(t *testing.T) {
	t.Parallel()
	onEach(t, privateKinds(), func(t *testing.T, b *bench) {
		for name, image := range map[string][]string{"built-in": nil, "user's": {b.image}} {
			if image == nil && b.Kind != enginetest.Engine28_5 {
				continue // those end with their lease, on any engine
			}
			keep := func(t *testing.T) *relayBench {
				t.Helper()
				return keepRelay(t, b, 2, append([]string{"--network-driver", "bridge"}, image...)...)
			}
			t.Run(name+" stopped", func(t *testing.T) { keep(t).testStopped(t) })
			t.Run(name+" killed", func(t *testing.T) { keep(t).testKilled(t) })
			t.Run(name+" removed", func(t *testing.T) { keep(t).testRemoved(t) })
		}
	})
}

func (r *relayBench) testStopped(t *testing.T) {
	t.Helper()
	assert.Check(t, is.Equal(r.succeeds(t, "run", "-q"), ""), "a kept relay is a leftover")
	r.checkKept(t, 2)
	assert.NilError(t, r.api.ContainerStop(t.Context(), r.relay(t), container.StopOptions{}))
	r.awaitGone(t)
	checkNothingLeft(t, r.Engine)
}

func (r *relayBench) testKilled(t *testing.T) {
	t.Helper()
	assert.NilError(t, r.api.ContainerKill(t.Context(), r.relay(t), "KILL"))
	r.awaitGone(t)
	r.awaitNetworksGone(t)
	checkNothingLeft(t, r.Engine)
}

func (r *relayBench) testRemoved(t *testing.T) {
	t.Helper()
	r.removeKept(t, r.stderr)
	r.awaitGone(t) // a removed container that removes itself may be listed for a moment
	checkNothingLeft(t, r.Engine)
}

// When the relay has answered a request to stop a server, the server's container is gone.
// The next request starts another server.
func TestRelayStopsServer(t *testing.T) {
	t.Parallel()
	onEach(t, privateKinds(), func(t *testing.T, b *bench) {
		r := keepRelay(t, b, 2)
		first, second := r.server(t, r.urls[0]), r.server(t, r.urls[1])
		assert.Equal(t, r.stopServer(t, r.urls[0]), http.StatusNoContent)
		r.awaitContainers(t, "the stopped server's end", func(all []container.Summary) bool { return len(all) == 2 })
		assert.Check(t, !slices.ContainsFunc(r.containers(t), func(c container.Summary) bool { return c.ID == first }))
		assert.Check(t, is.Equal(r.stopServer(t, r.urls[0]), http.StatusNoContent), "a stopped server can be stopped again")
		assert.Check(t, is.Equal(r.server(t, r.urls[1]), second), "the other server still runs")
		assert.Check(t, r.server(t, r.urls[0]) != first, "a stopped server answers")
		assert.Check(t, is.Len(r.containers(t), 3))
		r.removeKept(t, r.stderr)
		r.awaitGone(t)
	})
}

// stopServer requests the relay to stop a server, and returns the status.
func (r *relayBench) stopServer(t *testing.T, url string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, url, http.NoBody)
	assert.NilError(t, err)
	response, err := r.client.Do(request)
	assert.NilError(t, err)
	assert.NilError(t, response.Body.Close())
	return response.StatusCode
}

// When a server is killed during a request, that request gets an error, and the next one
// a new server.
func TestRelayServerKilledDuringRequest(t *testing.T) {
	t.Parallel()
	onEach(t, privateKinds(), func(t *testing.T, b *bench) {
		r := keepRelay(t, b, 1, b.image, "--hang", "/hang")
		answered := make(chan string, 1)
		go func() { // awaited below
			status, body, _, err := r.get(t.Context(), r.urls[0]+"/hang")
			answered <- fmt.Sprint(status, " ", body, err)
		}()
		server := r.onlyServer(t)
		r.awaitLog(t, server, "hanging")
		assert.NilError(t, r.api.ContainerKill(t.Context(), server, "KILL"))
		answer := <-answered
		assert.Check(t, strings.HasPrefix(answer, "502 server 1 did not answer: ") && strings.Contains(answer, ": send the request again"), answer)

		r.awaitContainers(t, "the killed server's end", func(all []container.Summary) bool {
			return !slices.ContainsFunc(all, func(c container.Summary) bool { return c.ID == server && c.State == "running" })
		})
		// The relay gets this from the engine as well, perhaps later.
		assert.Check(t, eventually(hangs, func() bool {
			status, body, _, err := r.get(t.Context(), r.urls[0]+"/")
			assert.NilError(t, err)
			answer = fmt.Sprint(status, " ", body)
			return !strings.HasPrefix(answer, "502 server 1 did not answer: ")
		}), answer)
		assert.Check(t, is.Equal(answer, "200 ok"))
		assert.Check(t, r.onlyServer(t) != server)
		r.removeKept(t, r.stderr)
		r.awaitGone(t)
	})
}

// onlyServer is the id of the relay's only server.
func (r *relayBench) onlyServer(t *testing.T) string {
	t.Helper()
	relay, all := r.relay(t), slices.DeleteFunc(r.containers(t), isGuard)
	assert.Assert(t, is.Len(all, 2))
	return all[slices.IndexFunc(all, func(c container.Summary) bool { return c.ID != relay })].ID
}

// awaitLog waits until a container has printed a text.
func (r *relayBench) awaitLog(t *testing.T, id, text string) {
	t.Helper()
	var log []byte
	printed := func() (yes bool) {
		var err error
		log, err = r.Command(t.Context(), "docker", "logs", id).CombinedOutput()
		assert.NilError(t, err, "%s", log)
		return strings.Contains(string(log), text)
	}
	if !eventually(hangs, printed) {
		t.Fatalf("waited for %q in the log:\n%s", text, log)
	}
}
