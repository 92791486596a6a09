package netprobe_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// sameText compares errors by their texts.
var sameText = cmp.Comparer(func(a, b error) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Error() == b.Error()
})

// A Result survives JSON, but for the types of its errors.
func TestResultAsJSON(t *testing.T) {
	t.Parallel()
	result := netprobe.Result{
		Attempts: 3, Remote: "[::1]:80", Phase: netprobe.PhaseWebSocket, Failure: netprobe.WebSocketRefused,
		Detail: "refused", Err: errors.New("broken"), Status: 404, Body: "a\nb", Identity: netprobe.IdentityVerified,
		WebSocket: netprobe.WebSocketFailed, Resolved: []string{"::1", "127.0.0.1"}, TLS: "TLS 1.3", PathMTU: 1500,
		Tried: []netprobe.Try{
			{Remote: "[::1]:80", Connect: 1234567},
			{Remote: "127.0.0.1:80", Failure: netprobe.Refused, Err: errors.New("connection refused"), Connect: 7 * time.Microsecond},
		},
		Timings: netprobe.Timings{Resolve: 1, Connect: 1234567, FirstByte: 24 * time.Hour, Total: 24*time.Hour + 1},
	}
	text, err := json.Marshal(result)
	assert.NilError(t, err)
	for _, part := range []string{`"error":"broken"`, `"connectMs":1.234567`, `"firstByteMs":86400000`, `"error":"connection refused"`, `"connectMs":0.007`} {
		assert.Check(t, strings.Contains(string(text), part), "%s is not in %s", part, text)
	}
	var back netprobe.Result
	assert.NilError(t, json.Unmarshal(text, &back))
	assert.DeepEqual(t, back, result, sameText)
}

// What probes observe survives JSON too, and errors do not carry what servers send.
func TestProbesAsJSON(t *testing.T) {
	t.Parallel()
	for _, target := range []netprobe.Target{
		{Address: "127.0.0.1:1"}, {Address: "no-such-name.invalid:80"}, {Address: "x"}, {Scheme: "\x1b", Address: "127.0.0.1:1"},
	} {
		text, err := json.Marshal(netprobe.Probe(t.Context(), target, netprobe.Options{}))
		assert.NilError(t, err)
		var first, second netprobe.Result
		assert.NilError(t, json.Unmarshal(text, &first))
		again, err := json.Marshal(first)
		assert.NilError(t, err)
		assert.Equal(t, string(again), string(text))
		assert.NilError(t, json.Unmarshal(again, &second))
		assert.DeepEqual(t, first, second, sameText)
		assert.Check(t, first.Err != nil && !strings.Contains(first.Err.Error(), "\x1b"), "%v", first.Err)
	}
	assert.Check(t, json.Unmarshal([]byte(`{"timings": 1}`), new(netprobe.Result)) != nil)
	assert.Check(t, json.Unmarshal([]byte(`{"tried": [1]}`), new(netprobe.Result)) != nil)
}
