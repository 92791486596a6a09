package swarm

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
)

func TestNodeWorkEncoded(t *testing.T) {
	t.Parallel()
	work := NodeWork{Settle: time.Minute}
	for range 200 {
		var race netprobe.Race
		for range 3 {
			race.Attempts = append(race.Attempts, netprobe.Attempt{Target: netprobe.Target{Address: net.JoinHostPort(engine.NewToken(20), "1"), Identity: strings.Repeat("x", 60)}})
		}
		work.Races = append(work.Races, race)
	}
	word, err := work.Encode()
	assert.NilError(t, err)
	assert.Check(t, len(word) < 128<<10, "%d bytes for 200 nodes", len(word))
	decoded, err := DecodeNodeWork(word)
	assert.NilError(t, err)
	assert.Check(t, is.DeepEqual(decoded, work))
	for _, wrong := range []string{"%", "AAAA", word[:len(word)/2]} {
		_, err := DecodeNodeWork(wrong)
		assert.Check(t, is.ErrorContains(err, "decoding the work of a node"))
	}
}

// An attempt that fails is repeated until it succeeds or the time is over.
func TestNodeWorkSettles(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) < 4 {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	good := netprobe.Attempt{Target: netprobe.Target{Address: server.Listener.Addr().String(), Path: "/"}}
	bad := netprobe.Attempt{Target: netprobe.Target{Address: "does-not-exist.invalid:1", Path: "/"}}
	work := NodeWork{Settle: 3 * time.Second, Races: []netprobe.Race{
		{Attempts: []netprobe.Attempt{good}, Timeout: time.Second, Wait: 3 * time.Second},
		{Attempts: []netprobe.Attempt{bad}, Timeout: time.Second, Wait: 3 * time.Second},
	}}
	began := time.Now()
	results := work.Do(t.Context())
	assert.Check(t, time.Since(began) < 10*time.Second)
	assert.Assert(t, is.Len(results, 2))
	assert.Check(t, results[0].Result.OK, "%+v", results[0])
	assert.Check(t, is.Equal(results[0].Result.Attempts, 4))
	assert.Check(t, !results[1].Result.OK)
}
