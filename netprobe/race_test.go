package netprobe

import (
	"context"
	"encoding/pem"
	"io"
	"log"
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
)

const identity = "the-right-one"

// server starts an HTTP server with the identity and returns its address.
func start(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(IdentityHeader, identity)
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

func attemptsAt(addresses ...string) []Attempt {
	attempts := make([]Attempt, len(addresses))
	for i, address := range addresses {
		attempts[i] = Attempt{Target: Target{Scheme: HTTP, Address: address, Path: "/foo", Identity: identity}}
	}
	return attempts
}

// race runs a race that would last for an hour if nothing ended it.
func race(t *testing.T, timeout time.Duration, addresses ...string) []Result {
	t.Helper()
	return Race{Attempts: attemptsAt(addresses...), Timeout: timeout, Wait: time.Hour}.Run(t.Context())
}

// Each probe of an address has the attempt's own limit for the lookup of its name, also the
// last one.
func TestRaceLimitsLookups(t *testing.T) {
	t.Parallel()
	var ofName, ofAddress []time.Duration
	refused := make(chan struct{})
	c := course{probe: func(_ context.Context, target Target, options Options) Result {
		if target.Address != "name:1" {
			<-refused
			ofAddress = append(ofAddress, options.Lookup)
			return Result{OK: true}
		}
		if ofName = append(ofName, options.Lookup); len(ofName) == 1 {
			close(refused)
			return Result{Failure: Refused} // and is probed again
		}
		return Result{OK: true}
	}}
	attempts := attemptsAt("name:1", "127.0.0.1:1")
	attempts[0].Lookup = time.Minute
	c.run(t.Context(), attempts)
	assert.DeepEqual(t, ofName, []time.Duration{time.Minute, time.Minute})
	assert.DeepEqual(t, ofAddress, []time.Duration{0})
}

// An address that refuses is tried again after pauses from 5 ms to 250 ms, each half
// as long to one and a half times as long as the one that is due.
func TestRacePausesGrow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var at []time.Time
		c := course{probe: func(context.Context, Target, Options) Result {
			at = append(at, time.Now())
			return Result{Failure: Refused}
		}}
		c.run(ctx, attemptsAt("127.0.0.1:1"))
		due := 5 * time.Millisecond
		for i := 1; i < len(at)-1; i++ { // the last is at the end of the wait
			pause := at[i].Sub(at[i-1])
			assert.Check(t, due/2 <= pause && pause <= due*3/2, "%d: a pause of %s where %s is due", i, pause, due)
			due = min(due*3/2, 250*time.Millisecond)
		}
		assert.Check(t, due == 250*time.Millisecond && len(at) < 100, "%d attempts", len(at))
	})
}

func TestRaceEndsWithTheFirstAnswer(t *testing.T) {
	t.Parallel()
	results := race(t, time.Hour, start(t, foo), refusing(t), silent(t))
	assert.Check(t, results[0].OK)
	assert.Check(t, is.Equal(results[1].Failure, Refused))
	assert.Check(t, is.Equal(results[2].Failure, NoResponse))
	for _, r := range results {
		assert.Check(t, r.Attempts > 0)
	}
}

func TestRaceRetriesUntilTheServerListens(t *testing.T) {
	t.Parallel()
	address := refusing(t)
	var tries atomic.Int32
	attempts := attemptsAt(address)
	c := course{
		options: Options{Timeout: time.Second},
		probe: func(ctx context.Context, target Target, options Options) Result {
			if tries.Add(1) == 3 { // it listens from the third try on
				listener, err := net.Listen("tcp", address)
				assert.Check(t, err)
				s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set(IdentityHeader, identity)
				})}
				t.Cleanup(func() { _ = s.Close() })
				go func() { _ = s.Serve(listener) }()
			}
			return Probe(ctx, target, options)
		},
	}
	results := c.run(t.Context(), attempts)
	assert.Check(t, results[0].OK, results[0].Detail)
	assert.Check(t, is.Equal(results[0].Attempts, 3))
}

func TestRaceEndsWithAnUnexpectedAnswer(t *testing.T) {
	t.Parallel()
	results := race(t, time.Hour, start(t, http.NotFound), silent(t))
	assert.Check(t, is.Equal(results[0].Failure, UnexpectedStatus))
	assert.Check(t, is.Equal(results[0].Attempts, 1))
	assert.Check(t, is.Equal(results[1].Failure, NoResponse))
}

func TestRaceRetriesAServerThatIsNotReady(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	results := race(t, time.Minute, start(t, func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		foo(w, r)
	}))
	assert.Check(t, results[0].OK)
	assert.Check(t, is.Equal(results[0].Attempts, 3))
}

// Another server at one address must not cut short the wait for the server.
func TestRaceIgnoresOtherServers(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(foo))
	defer other.Close()
	var requests atomic.Int32
	late := start(t, func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) < 5 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		foo(w, r)
	})
	results := race(t, time.Minute, strings.TrimPrefix(other.URL, "http://"), late)
	assert.Check(t, is.Equal(results[0].Failure, WrongServer))
	assert.Check(t, is.Equal(results[0].Identity, IdentityMismatch))
	assert.Check(t, results[1].OK)
}

func TestRaceEndsWithTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		refused := Result{Failure: Refused, Phase: PhaseConnect}
		dropped := Result{Failure: ConnectTimeout, Phase: PhaseConnect}
		stalled := Result{Failure: StalledBody, Phase: PhaseAnswer}
		tries := map[string]int{}
		var mu sync.Mutex
		c := course{probe: func(ctx context.Context, target Target, _ Options) Result {
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
		attempts := attemptsAt("refuses", "silent", "slow at last", "no longer reached")
		results := c.run(ctx, attempts)
		assert.Check(t, is.Equal(results[0].Failure, Refused))
		assert.Check(t, results[0].Attempts > 100)
		assert.Check(t, is.Equal(results[1].Failure, StalledBody))
		assert.Check(t, is.Equal(results[1].Attempts, 1))
		assert.Check(t, is.Equal(results[2].Failure, StalledBody), "what came further is kept")
		assert.Check(t, is.Equal(results[2].Attempts, 2))
		assert.Check(t, is.Equal(results[3].Failure, Refused), "it says more than the end of the wait")
	})
}

// What is cancelled has not been measured.
func TestRaceForgetsCancelledAttempts(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	attempts := attemptsAt(silent(t))
	c := course{
		options: Options{Timeout: time.Hour},
		probe: func(ctx context.Context, target Target, options Options) Result {
			cancel()
			return Probe(ctx, target, options)
		},
	}
	results := c.run(ctx, attempts)
	assert.Check(t, is.Equal(results[0].Attempts, 0))
}

// An answer from an address that should not lead to the server does not end the race,
// unless the server proves its identity. A silent one does.
func TestRaceEnds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		result    Result
		elsewhere bool
		ends      bool
	}{
		"good":                 {Result{OK: true}, false, true},
		"silent":               {Result{Failure: Silent}, false, true},
		"refused":              {Result{Failure: Refused}, false, false},
		"good elsewhere":       {Result{OK: true, Identity: IdentityUnverified}, true, false},
		"silent elsewhere":     {Result{Failure: Silent}, true, false},
		"the server elsewhere": {Result{OK: true, Identity: IdentityVerified}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				c := course{probe: func(_ context.Context, target Target, _ Options) Result {
					if target.Address == "127.0.0.1:1" {
						return test.result
					}
					return Result{Failure: Refused}
				}, options: Options{Timeout: time.Second}}
				attempts := attemptsAt("127.0.0.1:1", "127.0.0.1:2")
				attempts[0].Elsewhere = test.elsewhere
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				c.run(ctx, attempts)
				assert.Check(t, is.Equal(time.Since(began) < time.Minute, test.ends))
			})
		})
	}
}

// A race of single probes does not wait for a server to be ready.
func TestRaceOnce(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	busy := start(t, func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.WriteHeader(http.StatusBadGateway)
	})
	results := Race{Attempts: attemptsAt(busy, refusing(t)), Timeout: 10 * time.Second, Once: true}.Run(t.Context())
	assert.Equal(t, requests.Load(), int64(1))
	assert.Check(t, is.Equal(results[0].Attempts, 1))
	assert.Check(t, is.Equal(results[0].Status, http.StatusBadGateway))
	assert.Check(t, is.Equal(results[1].Attempts, 1))
	assert.Check(t, is.Equal(results[1].Failure, Refused))
}

// With 502, 503 and 504 a server, or a proxy before it, says that it is not ready yet.
func TestRaceWaitsOutGatewayErrors(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout} {
		var requests atomic.Int64
		address := start(t, func(w http.ResponseWriter, _ *http.Request) {
			if requests.Add(1) < 3 {
				w.WriteHeader(status)
			}
		})
		results := Race{Attempts: attemptsAt(address), Timeout: 10 * time.Second}.Run(t.Context())
		assert.Check(t, results[0].OK && results[0].Attempts == 3, "%d: %+v", status, results[0])
	}
}

// A proxy that waits for its server itself has said all with 502.
func TestRaceThroughGateway(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	gateway := start(t, func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.WriteHeader(http.StatusBadGateway)
	})
	results := Race{Attempts: attemptsAt(gateway, refusing(t)), Timeout: 10 * time.Second, ThroughGateway: true}.Run(t.Context())
	assert.Equal(t, requests.Load(), int64(1))
	assert.Check(t, is.Equal(results[0].Failure, UnexpectedStatus))
	assert.Check(t, is.Equal(results[1].Failure, Refused)) // not tried for ever
}

// The authorities that a race names are trusted in place of the system's.
func TestRaceTrustsItsRoots(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	race := Race{Timeout: time.Second, Once: true, Attempts: []Attempt{{Target: Target{Scheme: HTTPS, Address: server.Listener.Addr().String()}}}}
	assert.Equal(t, race.Run(t.Context())[0].Failure, TLSUntrusted)
	race.Roots = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	assert.Check(t, race.Run(t.Context())[0].OK)
}
