package connection

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/endpointtest"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// pretender answers as an engine. A real one cannot be made to fail in the middle of a
// call, or to have a version that does not exist yet.
func pretender(newest, oldest string, then http.HandlerFunc) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", newest) })
	mux.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"ApiVersion":%q,"MinAPIVersion":%q}`, newest, oldest)
	})
	mux.HandleFunc("/", then)
	return mux
}

func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func tooOld(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "client version is too old", http.StatusBadRequest)
}

// TestExplainGone loses the engine between two calls.
func TestExplainGone(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	assert.NilError(t, err)
	server := &http.Server{Handler: pretender("1.41", "1.12", hangUp), ErrorLog: quiet()}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	connection := connect(t, tcpSettings(listener.Addr().String(), nil))
	assert.NilError(t, server.Close())
	assert.ErrorIs(t, <-done, http.ErrServerClosed)

	_, err = connection.Describe(t.Context())
	endpointtest.WantFault(t, err, EngineUnreachable, "refused, nothing listens there", "before that, the client said: ")

	_, bare := connection.API.Info(t.Context())
	assert.Assert(t, bare != nil)
	fault := endpointtest.FaultOf(t, Explain(bare))
	assert.Equal(t, fault.Cause, EngineUnreachable)
	assert.ErrorIs(t, fault, bare)
}

// TestExplainHungUp has an engine that drops a call and continues to run.
func TestExplainHungUp(t *testing.T) {
	t.Parallel()
	connection := connect(t, tcpSettings(serve(t, nil, pretender("1.41", "1.12", hangUp)), nil))
	_, err := connection.API.Info(t.Context())
	endpointtest.WantFault(t, connection.Explain(t.Context(), err), EngineUnreachable, "closed the connection", "answers a ping now")
}

// TestExplainCut has an incomplete answer.
func TestExplainCut(t *testing.T) {
	t.Parallel()
	connection := connect(t, tcpSettings(serve(t, nil, pretender("1.41", "1.12", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `[{"Id":`)
	})), nil))
	_, err := connection.API.ContainerList(t.Context(), container.ListOptions{})
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	endpointtest.WantFault(t, connection.Explain(t.Context(), err), EngineUnreachable, "closed the connection")
}

// TestExplainVersion has an engine that refuses the negotiated API version.
func TestExplainVersion(t *testing.T) {
	t.Parallel()
	connection := connect(t, tcpSettings(serve(t, nil, pretender("1.99", "1.80", tooOld)), nil))
	_, err := connection.Describe(t.Context())
	endpointtest.WantFault(t, err, APIVersionUnsupported, "the engine offers 1.80 to 1.99", "API version of the client: 1.51, needed: at least 1.25")
}

// TestExplainUnchanged returns errors unchanged that are no failure of the endpoint.
func TestExplainUnchanged(t *testing.T) {
	t.Parallel()
	connection := connect(t, unixSettings(endpointtest.EngineSocket(t)))
	_, missing := connection.API.ContainerInspect(t.Context(), "no-such-container-here")
	assert.Assert(t, cerrdefs.IsNotFound(missing))
	_, invalid := connection.API.ContainerCreate(t.Context(), &container.Config{}, nil, nil, nil, "no-such-container-here")
	assert.Assert(t, cerrdefs.IsInvalidArgument(invalid), "%v", invalid)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, interrupted := connection.API.Info(cancelled)
	assert.ErrorIs(t, interrupted, context.Canceled)
	known := &report.Fault{Cause: DockerSocketMissing}
	for _, err := range []error{nil, missing, invalid, interrupted, known, fmt.Errorf("run: %w", known), errors.New("other"), errors.Join(errors.New("other"), context.DeadlineExceeded)} {
		assert.Equal(t, connection.Explain(t.Context(), err), err)
		assert.Equal(t, Explain(err), err)
	}
	assert.Equal(t, connection.Explain(cancelled, io.EOF), io.EOF)
}

// TestExplainByType needs no engine.
func TestExplainByType(t *testing.T) {
	t.Parallel()
	dial := func(network string, address net.Addr, errno error) error {
		return fmt.Errorf("attach: %w", &net.OpError{Op: "dial", Net: network, Addr: address, Err: errno})
	}
	socket, host := &net.UnixAddr{Name: "/nonexistent/d.sock", Net: "unix"}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 2375}
	for name, test := range map[string]struct {
		err      error
		cause    report.Cause
		sentence string
	}{
		"no socket":         {dial("unix", socket, syscall.ENOENT), DockerSocketMissing, "no Docker socket at /nonexistent/d.sock"},
		"no permission":     {dial("unix", socket, syscall.EACCES), DockerSocketPerm, "may not open the Docker socket /nonexistent/d.sock"},
		"refused":           {dial("tcp", host, syscall.ECONNREFUSED), EngineUnreachable, "connection to 192.0.2.1:2375 refused"},
		"no route":          {dial("tcp", host, syscall.EHOSTUNREACH), EngineUnreachable, "192.0.2.1:2375 is unreachable"},
		"blackhole route":   {dial("tcp", host, syscall.EINVAL), EngineUnreachable, "192.0.2.1:2375 is unreachable"},
		"no local address":  {dial("tcp", host, syscall.EADDRNOTAVAIL), EngineUnreachable, "192.0.2.1:2375 is unreachable (address not available)"},
		"prohibited":        {dial("tcp", host, syscall.EACCES), EngineUnreachable, "forbids connecting to 192.0.2.1:2375"},
		"reset":             {dial("tcp", host, syscall.ECONNRESET), EngineUnreachable, "reset the connection immediately"},
		"something else":    {dial("tcp", host, syscall.ENOBUFS), EngineUnreachable, "did not succeed"},
		"plain HTTP":        {http.ErrSchemeMismatch, TLSNotExpected, "speaks plain HTTP"},
		"no ssh":            {&exec.Error{Name: "ssh", Err: exec.ErrNotFound}, EngineUnreachable, "the program ssh"},
		"reset in a stream": {&net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}, EngineUnreachable, "is lost"},
		"end of a stream":   {io.ErrUnexpectedEOF, EngineUnreachable, "is lost"},
		"with a clean-up":   {errors.Join(io.ErrUnexpectedEOF, fmt.Errorf("removing: %w", context.DeadlineExceeded)), EngineUnreachable, "is lost"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Explain(test.err)
			fault := endpointtest.FaultOf(t, got)
			assert.Equal(t, fault.Cause, test.cause)
			assert.Assert(t, strings.Contains(fault.Error(), test.sentence), fault.Error())
			assert.ErrorIs(t, got, test.err)
		})
	}
}

// TestVersionFixed sets DOCKER_API_VERSION.
func TestVersionFixed(t *testing.T) {
	modern := serve(t, nil, pretender("1.51", "1.44", tooOld))
	ancient := serve(t, nil, pretender("1.24", "1.12", tooOld))
	for name, test := range map[string]struct {
		host, fixed string
		sentence    string
	}{
		"newer than the engine":        {"unix://" + endpointtest.EngineSocket(t), "1.99", "DOCKER_API_VERSION fixes the API version to 1.99, the engine offers up to "},
		"newer, with a v":              {"unix://" + endpointtest.EngineSocket(t), "v1.99", "fixes the API version to 1.99"},
		"older than needed":            {"unix://" + endpointtest.EngineSocket(t), "1.20", "nestprobe needs at least 1.25: unset DOCKER_API_VERSION"},
		"older than the engine's":      {"tcp://" + modern, "1.40", "fixes the API version to 1.40, the engine offers 1.44 to 1.51"},
		"an engine older than needed":  {"tcp://" + ancient, "", "no API version in common, the engine offers up to 1.24"},
		"one that the engine offers":   {"unix://" + endpointtest.EngineSocket(t), "1.30", ""},
		"an empty one, so negotiation": {"unix://" + endpointtest.EngineSocket(t), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := NewSettings("test", test.host, WithAPIVersion(test.fixed))
			if test.sentence != "" {
				endpointtest.WantFault(t, connectFails(t, e), APIVersionUnsupported, test.sentence, "API versions of the engine: ")
				return
			}
			connection := connect(t, e)
			described, err := connection.Describe(t.Context())
			assert.NilError(t, err)
			assert.Assert(t, described.Endpoint.Engine.APIVersion != "")
			if test.fixed != "" {
				assert.Equal(t, connection.API.ClientVersion(), test.fixed)
			}
		})
	}
}
