package experiment

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

const identity = "the-right-one"

// server starts an HTTP server with the identity and returns its address.
func start(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(netprobe.IdentityHeader, identity)
		handler(w, r)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func foo(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("foo")) }

func silent(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	assert.NilError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String() // the kernel accepts, nobody answers
}

// refusing returns an address at which nothing listens.
func refusing(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	assert.NilError(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func enter(addresses ...string) []*entry {
	entries := make([]*entry, len(addresses))
	for i, address := range addresses {
		entries[i] = &entry{target: netprobe.Target{
			Scheme: netprobe.HTTP, Address: address, Path: "/foo", Identity: identity,
		}}
	}
	return entries
}

// compete runs a contest that would last for an hour if nothing ended it.
func compete(t *testing.T, timeout time.Duration, entries []*entry) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	c := contest{probe: netprobe.Probe, options: netprobe.Options{Timeout: timeout}}
	c.run(ctx, entries)
}

// An address that refuses is tried again after pauses from 5 ms to 250 ms, each half
// as long to one and a half times as long as the one that is due.
func TestPausesGrow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var at []time.Time
		c := contest{probe: func(context.Context, netprobe.Target, netprobe.Options) netprobe.Result {
			at = append(at, time.Now())
			return netprobe.Result{Failure: netprobe.Refused}
		}}
		c.run(ctx, enter("127.0.0.1:1"))
		due := 5 * time.Millisecond
		for i := 1; i < len(at)-1; i++ { // the last is at the end of the wait
			pause := at[i].Sub(at[i-1])
			assert.Check(t, due/2 <= pause && pause <= due*3/2, "%d: a pause of %s where %s is due", i, pause, due)
			due = min(due*3/2, 250*time.Millisecond)
		}
		assert.Check(t, due == 250*time.Millisecond && len(at) < 100, "%d attempts", len(at))
	})
}

func TestContestEndsWithTheFirstAnswer(t *testing.T) {
	t.Parallel()
	entries := enter(start(t, foo), refusing(t), silent(t))
	compete(t, time.Hour, entries)
	assert.Check(t, entries[0].result.OK)
	assert.Check(t, is.Equal(entries[1].result.Failure, netprobe.Refused))
	assert.Check(t, is.Equal(entries[2].result.Failure, netprobe.NoResponse))
	for _, e := range entries {
		assert.Check(t, e.attempts > 0)
	}
}

func TestContestRetriesUntilTheServerListens(t *testing.T) {
	t.Parallel()
	address := refusing(t)
	var tries atomic.Int32
	entries := enter(address)
	c := contest{
		options: netprobe.Options{Timeout: time.Second},
		probe: func(ctx context.Context, target netprobe.Target, options netprobe.Options) netprobe.Result {
			if tries.Add(1) == 3 { // it listens from the third try on
				listener, err := net.Listen("tcp", address)
				assert.Check(t, err)
				s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set(netprobe.IdentityHeader, identity)
				})}
				t.Cleanup(func() { _ = s.Close() })
				go func() { _ = s.Serve(listener) }()
			}
			return netprobe.Probe(ctx, target, options)
		},
	}
	c.run(t.Context(), entries)
	assert.Check(t, entries[0].result.OK, entries[0].result.Detail)
	assert.Check(t, is.Equal(entries[0].attempts, 3))
}

func TestContestTakesAnUnwantedAnswerForAnAnswer(t *testing.T) {
	t.Parallel()
	entries := enter(start(t, http.NotFound), silent(t))
	compete(t, time.Hour, entries)
	assert.Check(t, is.Equal(entries[0].result.Failure, netprobe.UnexpectedStatus))
	assert.Check(t, is.Equal(entries[0].attempts, 1))
	assert.Check(t, is.Equal(entries[1].result.Failure, netprobe.NoResponse))
}

func TestContestRetriesAServerThatIsNotReady(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	entries := enter(start(t, func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		foo(w, r)
	}))
	compete(t, time.Minute, entries)
	assert.Check(t, entries[0].result.OK)
	assert.Check(t, is.Equal(entries[0].attempts, 3))
}

// A stranger at one address must not cut short the wait for the server.
func TestContestIgnoresStrangers(t *testing.T) {
	t.Parallel()
	stranger := httptest.NewServer(http.HandlerFunc(foo))
	defer stranger.Close()
	var requests atomic.Int32
	late := start(t, func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) < 5 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		foo(w, r)
	})
	entries := enter(strings.TrimPrefix(stranger.URL, "http://"), late)
	compete(t, time.Minute, entries)
	assert.Check(t, is.Equal(entries[0].result.Failure, netprobe.WrongServer))
	assert.Check(t, is.Equal(entries[0].result.Identity, netprobe.IdentityMismatch))
	assert.Check(t, entries[1].result.OK)
}

func TestContestEndsWithTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		refused := netprobe.Result{Failure: netprobe.Refused, Phase: netprobe.PhaseConnect}
		dropped := netprobe.Result{Failure: netprobe.ConnectTimeout, Phase: netprobe.PhaseConnect}
		stalled := netprobe.Result{Failure: netprobe.StalledBody, Phase: netprobe.PhaseAnswer}
		tries := map[string]int{}
		var mu sync.Mutex
		c := contest{probe: func(ctx context.Context, target netprobe.Target, _ netprobe.Options) netprobe.Result {
			mu.Lock()
			tries[target.Address]++
			first := tries[target.Address] == 1
			mu.Unlock()
			if target.Address == "refuses" || first && target.Address != "silent" {
				return refused
			}
			<-ctx.Done()
			if target.Address == "no longer reached" {
				return dropped
			}
			return stalled
		}}
		entries := enter("refuses", "silent", "slow at last", "no longer reached")
		c.run(ctx, entries)
		assert.Check(t, is.Equal(entries[0].result.Failure, netprobe.Refused))
		assert.Check(t, entries[0].attempts > 100)
		assert.Check(t, is.Equal(entries[1].result.Failure, netprobe.StalledBody))
		assert.Check(t, is.Equal(entries[1].attempts, 1))
		assert.Check(t, is.Equal(entries[2].result.Failure, netprobe.StalledBody), "what came further is kept")
		assert.Check(t, is.Equal(entries[2].attempts, 2))
		assert.Check(t, is.Equal(entries[3].result.Failure, netprobe.Refused), "it says more than the end of the wait")
	})
}

// What is cancelled has not been measured.
func TestContestForgetsCancelledAttempts(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	entries := enter(silent(t))
	c := contest{
		options: netprobe.Options{Timeout: time.Hour},
		probe: func(ctx context.Context, target netprobe.Target, options netprobe.Options) netprobe.Result {
			cancel()
			return netprobe.Probe(ctx, target, options)
		},
	}
	c.run(ctx, entries)
	assert.Check(t, is.Equal(entries[0].attempts, 0))
}
