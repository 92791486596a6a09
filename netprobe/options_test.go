package netprobe_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// userAgents is the address of a server that sends back the User-Agent of each request.
func userAgents(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.UserAgent()))
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// A header of the target goes before the option, and the option before the default.
func TestUserAgent(t *testing.T) {
	t.Parallel()
	address := userAgents(t)
	for _, test := range []struct{ option, header, want string }{
		{"", "", netprobe.DefaultUserAgent}, {"mine/1", "", "mine/1"}, {"mine/1", "other/2", "other/2"},
	} {
		target := netprobe.Target{Address: address}
		if test.header != "" {
			target.Header = http.Header{"User-Agent": {test.header}}
		}
		result := netprobe.Probe(t.Context(), target, netprobe.Options{UserAgent: test.option})
		assert.Check(t, is.Equal(result.Body, test.want))
	}
}

// DialContext gets literal addresses and a deadline, and its errors are classified.
func TestDialContext(t *testing.T) {
	t.Parallel()
	address := userAgents(t)
	var dialled atomic.Value
	options := netprobe.Options{Timeout: time.Second, DialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
		if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > time.Second {
			return nil, errors.New("no deadline")
		}
		dialled.Store(network + " " + to)
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	result := netprobe.Probe(t.Context(), netprobe.Target{Address: "192.0.2.1:80"}, options)
	assert.Check(t, result.OK, result.Detail)
	assert.Check(t, is.Equal(dialled.Load(), "tcp 192.0.2.1:80"))
	assert.Check(t, is.Equal(result.Remote, "192.0.2.1:80"))

	for err, want := range map[error]netprobe.Failure{
		&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}: netprobe.Refused,
		context.DeadlineExceeded:                            netprobe.ConnectTimeout,
		errors.New("the proxy is not there"):                netprobe.NotProbed,
	} {
		options.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, err }
		assert.Check(t, is.Equal(netprobe.Probe(t.Context(), netprobe.Target{Address: "192.0.2.1:80"}, options).Failure, want))
	}
}

// The options of a race are those of its probes, and Control sees each socket.
func TestRaceOptions(t *testing.T) {
	t.Parallel()
	var sockets atomic.Int32
	race := netprobe.Race{
		Attempts: []netprobe.Attempt{{Target: netprobe.Target{Address: userAgents(t)}}, {Target: netprobe.Target{Address: userAgents(t)}}},
		Once:     true,
		Options: netprobe.Options{UserAgent: "racer", Control: func(string, string, syscall.RawConn) error {
			sockets.Add(1)
			return nil
		}},
	}
	for _, result := range race.Run(t.Context()) {
		assert.Check(t, is.Equal(result.Body, "racer"))
	}
	assert.Check(t, is.Equal(sockets.Load(), int32(2)))
	race.Options.Control = func(string, string, syscall.RawConn) error { return errors.New("not this one") }
	assert.Check(t, is.Equal(race.Run(t.Context())[0].Failure, netprobe.NotProbed))
}
