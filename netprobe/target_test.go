package netprobe_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

func TestURL(t *testing.T) {
	t.Parallel()
	for want, target := range map[string]netprobe.Target{
		"http://a:1/":               {Address: "a:1"},
		"https://a:1/b?c":           {Scheme: netprobe.HTTPS, Address: "a:1", Path: "/b?c"},
		"tcp://[::1]:1":             {Scheme: netprobe.TCP, Address: "[::1]:1", Path: "/b"},
		"http://[fe80::1%25en0]:1/": {Scheme: netprobe.HTTP, Address: "[fe80::1%en0]:1"},
	} {
		if got := target.URL(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestInvalidTargets: nothing is dialled, and no part of a target is taken for
// another part.
func TestInvalidTargets(t *testing.T) {
	t.Parallel()
	const ok = "127.0.0.1:4647"
	for name, target := range map[string]netprobe.Target{
		"no address":            {},
		"no port":               {Address: "127.0.0.1"},
		"port zero":             {Address: "127.0.0.1:0"},
		"port too high":         {Address: "127.0.0.1:65536"},
		"port by name":          {Address: "127.0.0.1:http"},
		"no host":               {Address: ":80"},
		"IPv6 without bracket":  {Address: "::1:80"},
		"user":                  {Address: "user@127.0.0.1:80"},
		"path in the address":   {Address: "127.0.0.1/x:80"},
		"query in the address":  {Address: "a?b:80"},
		"space in the address":  {Address: "a b:80"},
		"header in the address": {Address: "a\r\nX: y:80"},
		"other scheme":          {Scheme: "ftp", Address: ok},
		"relative path":         {Address: ok, Path: "foo"},
		"header in the path":    {Address: ok, Path: "/ HTTP/1.1\r\nX: y"},
		"bad escape":            {Address: ok, Path: "/%zz"},
		"relative WebSocket":    {Address: ok, WebSocket: "ws"},
		"header in WebSocket":   {Address: ok, WebSocket: "/\r\nX: y"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := probe(t, target, netprobe.Options{})
			check(t, got, want{failure: netprobe.NotProbed, phase: netprobe.PhaseResolve, detail: "not probed: "})
			if len(got.Tried) != 0 || got.Err == nil {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestDefaults: the zero Options bound a probe, too.
func TestDefaults(t *testing.T) {
	t.Parallel()
	address := serve(t, "tcp4", saysAndStays(""))
	began := time.Now()
	got := probe(t, netprobe.Target{Address: address}, netprobe.Options{})
	check(t, got, want{failure: netprobe.NoResponse, phase: request, detail: "within 1s"})
	if took := time.Since(began); took < netprobe.DefaultTimeout {
		t.Errorf("it ended after %v", took)
	}
}

func TestTimings(t *testing.T) {
	t.Parallel()
	address := serve(t, "tcp4", says("HTTP/1.1 200 OK\r\n\r\n"))
	got := probe(t, netprobe.Target{Address: address}, netprobe.Options{Timeout: longTimeout})
	sum := got.Timings.Connect + got.Timings.FirstByte
	if got.Timings.Connect <= 0 || got.Timings.FirstByte <= 0 || got.Timings.Resolve != 0 || sum > got.Timings.Total {
		t.Errorf("%+v", got.Timings)
	}
}

// TestRetryable: exactly what a server that is starting can show.
func TestRetryable(t *testing.T) {
	t.Parallel()
	for failure, want := range map[netprobe.Failure]bool{
		netprobe.Refused: true, netprobe.Reset: true, netprobe.ClosedWithoutResponse: true,
		netprobe.TLSClosed: true, netprobe.ConnectTimeout: true, netprobe.NoResponse: true,
		"": false, netprobe.NameNotFound: false, netprobe.NameTimeout: false, netprobe.Unreachable: false,
		netprobe.TLSUntrusted: false, netprobe.TLSHostnameMismatch: false, netprobe.TLSExpired: false,
		netprobe.TLSOnPlainPort: false, netprobe.TLSHandshake: false, netprobe.NotHTTP: false,
		netprobe.UnexpectedStatus: false, netprobe.UnexpectedBody: false, netprobe.TruncatedBody: false,
		netprobe.StalledBody: false, netprobe.WrongServer: false, netprobe.WebSocketRefused: false,
		netprobe.Cancelled: false, netprobe.NotProbed: false,
	} {
		if got := failure.Retryable(); got != want {
			t.Errorf("%q: %v", failure, got)
		}
	}
}

// TestImports: the package is a separate library and knows nothing of Docker.
func TestImports(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	allowed := []string{
		"github.com/nestprobe/docker-nestprobe/netprobe",
		"github.com/cenkalti/backoff/", "github.com/coder/websocket", "golang.org/x/sync/", "golang.org/x/sys/",
	}
	deps := strings.Fields(string(out))
	if len(deps) < 50 {
		t.Fatalf("only %d packages listed", len(deps))
	}
	for _, dep := range deps {
		first, _, _ := strings.Cut(dep, "/")
		standard := !strings.Contains(first, ".")
		if !standard && !slices.ContainsFunc(allowed, func(prefix string) bool { return strings.HasPrefix(dep, prefix) }) {
			t.Errorf("netprobe depends on %s", dep)
		}
	}
}
