package connection

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/endpointtest"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// blackHole is an address on loopback that drops every SYN: its listener's accept
// queue is full.
func blackHole(t *testing.T) string {
	t.Helper()
	bound := fill(t, syscall.AF_INET, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	return fmt.Sprintf("127.0.0.1:%d", bound.(*syscall.SockaddrInet4).Port)
}

// resetter answers every connection with a reset after its first byte.
func resetter(conn net.Conn) {
	_, _ = conn.Read(make([]byte, 1))
	_ = conn.(*net.TCPConn).SetLinger(0)
}

func TestDialFaults(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		address  string
		sentence string
		evidence []string
	}{
		"refused":   {endpointtest.ClosedPort(t), "refused, nothing listens there", []string{"phase reached: connect", "connection refused"}},
		"no name":   {"no..such..name:2375", `the name "no..such..name" is not known`, []string{"phase reached: resolve", "not found true"}},
		"resets":    {accept(t, resetter), "closes it without an answer", []string{"phase reached: request"}},
		"closes":    {accept(t, func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1)) }), "closes it without an answer", []string{"phase reached: request", "connected"}},
		"not HTTP":  {accept(t, say220), "does not speak HTTP", nil},
		"a website": {serve(t, nil, http.NotFoundHandler()), "is not a Docker engine", []string{"phase reached: answer", "404 Not Found", `Api-Version ""`}},
		"a website that likes everything": {serve(t, nil, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<html>\x1b[31m")
		})), "is not a Docker engine", []string{"200 OK", `\x1b[31m`}},
		"a redirect": {serve(t, nil, http.RedirectHandler("http://"+endpointtest.ClosedPort(t), http.StatusFound)), "is not a Docker engine", []string{"302 Found"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			endpointtest.WantFault(t, connectFails(t, tcpSettings(test.address, nil)), EngineUnreachable, test.sentence, test.evidence...)
		})
	}
}

// say220 sends a greeting as a mail server does.
func say220(conn net.Conn) {
	_, _ = io.WriteString(conn, "220 mail.example ESMTP\r\n")
	_, _ = bufio.NewReader(conn).ReadString('\n')
}

// TestTLSDialFaults has TLS endpoints that fail before or in the handshake.
func TestTLSDialFaults(t *testing.T) {
	t.Parallel()
	ca := endpointtest.NewAuthority(t, "ca")
	material := materialOf(ca, ca.Client(t))
	for name, test := range map[string]struct {
		address  string
		sentence string
		evidence []string
	}{
		"refused":  {endpointtest.ClosedPort(t), "refused, nothing listens there", []string{"phase reached: connect"}},
		"resets":   {accept(t, resetter), "closes it during the TLS handshake", []string{"phase reached: tls"}},
		"closes":   {accept(t, func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1)) }), "closes it during the TLS handshake", []string{"phase reached: tls"}},
		"not TLS":  {accept(t, say220), "speaks neither TLS nor HTTP", []string{"began with 220 m"}},
		"a silent": {accept(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }), "does not answer the TLS handshake", []string{"phase reached: tls"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := tcpSettings(test.address, material)
			e.answerTimeout = time.Second
			endpointtest.WantFault(t, connectFails(t, e), EngineUnreachable, test.sentence, test.evidence...)
		})
	}
}

// TestSilence has an endpoint that accepts the connection and sends nothing, on which
// docker itself hangs.
func TestSilence(t *testing.T) {
	t.Parallel()
	e := tcpSettings(accept(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }), nil)
	assert.Equal(t, e.answerTimeout, defaultAnswerTimeout)
	e.answerTimeout = time.Second
	endpointtest.WantFault(t, connectFails(t, e), EngineUnreachable, "accepts the connection, but gives no answer", "phase reached: request")
}

// TestBlackHole waits for the bound of docker's client.
func TestBlackHole(t *testing.T) {
	t.Parallel()
	ca := endpointtest.NewAuthority(t, "ca")
	address := blackHole(t)
	for name, e := range map[string]Settings{
		"plain": tcpSettings(address, nil),
		"TLS":   tcpSettings(address, materialOf(ca, ca.Client(t))),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			err := connectFails(t, e)
			took := time.Since(start)
			endpointtest.WantFault(t, err, EngineUnreachable, "timed out", "phase reached: connect")
			// The dial's own bound, not the longer one of the whole ping.
			assert.Assert(t, took < defaultAnswerTimeout, "took %s", took)
		})
	}
}

// TestBlackHoleCancelled has a context end during the dial.
func TestBlackHoleCancelled(t *testing.T) {
	t.Parallel()
	e := tcpSettings(blackHole(t), nil)

	deadline, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := Open(deadline, e)
	endpointtest.WantFault(t, err, EngineUnreachable, "timed out", "phase reached: connect")
	assert.ErrorIs(t, err, context.DeadlineExceeded)

	ctx, interrupt := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, interrupt)
	start := time.Now()
	_, err = Open(ctx, e)
	assert.ErrorIs(t, err, context.Canceled)
	var fault *report.Fault
	assert.Assert(t, !errors.As(err, &fault))
	assert.Assert(t, time.Since(start) < 10*time.Second, "cancelling did not end the dial")
}

// TestNoNetwork connects from a network namespace with nothing in it, not even
// a loopback interface that is up.
func TestNoNetwork(t *testing.T) {
	t.Parallel()
	enginetest.NeedRoot(t)
	for name, test := range map[string]struct {
		host     string
		sentence string
		evidence string
	}{
		"no route":       {"tcp://192.0.2.1:2375", "192.0.2.1:2375 is unreachable (network unreachable)", "network is unreachable"},
		"no name server": {"tcp://engine.example:2375", `the name "engine.example" could not be looked up`, "phase reached: resolve"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := connectInChild(t, NewSettings("test", test.host), environment{"GODEBUG": "netdns=go"}, func(cmd *exec.Cmd) {
				cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
			})
			endpointtest.WantFault(t, got.Fault(), EngineUnreachable, test.sentence, test.evidence)
		})
	}
}

// TestProxy goes through a proxy of the environment, as docker does.
func TestProxy(t *testing.T) {
	t.Parallel()
	proxied := environment{"HTTP_PROXY": "http://me:secret@" + endpointtest.ClosedPort(t)}
	got := connectInChild(t, tcpSettings("192.0.2.1:2375", nil), proxied, nil)
	endpointtest.WantFault(t, got.Fault(), EngineUnreachable, "refused", "through the proxy http://me:xxxxx@127.0.0.1:", "NO_PROXY=192.0.2.1")
}
