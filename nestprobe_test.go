package nestprobe_test

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/client"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	nestprobe "github.com/nestprobe/docker-nestprobe"
	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Docker's client needs no adapter.
var _ nestprobe.API = (*client.Client)(nil)

// Every cause has a constant, which is named after it, and no constant is for another one.
func TestCauses(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "causes.go", nil, 0)
	assert.NilError(t, err)
	var ids []report.Cause
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		id, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		assert.NilError(t, err)
		assert.Check(t, is.Equal(strings.ToLower(spec.Names[0].Name), strings.ReplaceAll(id, "-", "")))
		assert.Check(t, nestprobe.Cause(id).Title() != "", id)
		ids = append(ids, report.Cause(id))
		return true
	})
	slices.Sort(ids)
	assert.DeepEqual(t, ids, diagnosis.Causes())
	assert.Equal(t, nestprobe.Cause("").Title(), "")
}

// listen serves on loopback until the end of the test.
func listen(t *testing.T, handler http.HandlerFunc) net.Addr {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.Listener.Addr()
}

func TestOptions(t *testing.T) {
	t.Parallel()
	address := listen(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(netprobe.IdentityHeader, "token")
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte(r.Method + " " + r.Host + " " + r.URL.Path + " " + r.Header.Get("X-Test")))
	})
	api, end := newEngine(address, true)
	defer end()
	options := []nestprobe.Option{
		nestprobe.WithPath("/a"), nestprobe.WithMethod("PUT"), nestprobe.WithHeader("Host", "shop"), nestprobe.WithHeader("X-Test", "1"),
		nestprobe.ExpectStatus(418), nestprobe.ExpectBody("PUT shop /a 1"), nestprobe.WithIdentity("token"), nestprobe.WithWait(0),
	}
	reached, err := nestprobe.Reach(t.Context(), api, "web", 8080, options...)
	assert.NilError(t, err)
	assert.Equal(t, reached.Identity(), netprobe.IdentityVerified)
	assert.Equal(t, reached.Address(), address.String())
	assert.Equal(t, reached.Endpoint.Engine.Version, "28.5.2")
	assert.Check(t, reached.OK)

	_, err = nestprobe.Reach(t.Context(), api, "web", 8080, append(options, nestprobe.ExpectStatus(200))...)
	assert.Check(t, errors.Is(err, nestprobe.UnexpectedStatus), "%v", err)
	_, err = nestprobe.Reach(t.Context(), api, "web", 8080, append(options, nestprobe.WithIdentity("other"))...)
	var finding *nestprobe.Error
	assert.Assert(t, errors.As(err, &finding), "%v", err)
	assert.Check(t, is.Equal(finding.Port, uint16(8080)))
	assert.Check(t, len(finding.Evidence) > 0)

	reached, err = nestprobe.Reach(t.Context(), api, "web", 0, nestprobe.WithEngineHost("127.0.0.1"))
	assert.NilError(t, err)
	assert.Equal(t, reached.URL(), "tcp://"+address.String())
}

// The wait ends in time for the cause before the deadline of the context, and the context's
// end is its own error.
func TestDeadline(t *testing.T) {
	t.Parallel()
	address := listen(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	api, end := newEngine(address, true)
	defer end()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	measured, err := nestprobe.Reach(ctx, api, "web", 8080, nestprobe.WithPath("/"))
	assert.Check(t, errors.Is(err, nestprobe.UnexpectedStatus), "%v", err)
	assert.Check(t, ctx.Err() == nil && measured.Probes[0].Attempts > 2)

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	measured, err = nestprobe.Reach(cancelled, api, "web", 8080)
	assert.Check(t, errors.Is(err, context.Canceled), "%v", err)
	assert.Check(t, measured != nil && measured.URL() == "" && measured.Address() == "")
}

// The addresses for another place than this process's.
func TestVantage(t *testing.T) {
	t.Parallel()
	api, end := newEngine(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 32768}, true)
	defer end()
	for vantage, want := range map[string]report.Kind{"job": report.KindPublishedGateway, "": report.KindPublishedEngineHost} {
		found, err := nestprobe.Candidates(t.Context(), api, "web", 8080, nestprobe.WithVantage(vantage), nestprobe.WithEngineHost("192.0.2.1"))
		assert.NilError(t, err)
		kinds := map[report.Kind]bool{}
		for _, c := range found {
			kinds[c.Kind] = true
		}
		assert.Check(t, kinds[want], "%q: %v", vantage, found)
	}
	_, err := nestprobe.Candidates(t.Context(), api, "web", 8080, nestprobe.WithVantage("other"))
	assert.Check(t, errdefs.IsNotFound(err), "%v", err)
}

// Without an engine, a container or a port, the error says what is missing.
func TestMissing(t *testing.T) {
	t.Parallel()
	api, err := client.NewClientWithOpts(client.WithHost("unix://" + filepath.Join(t.TempDir(), "none.sock")))
	assert.NilError(t, err)
	for _, call := range []func() error{
		func() error { _, err := nestprobe.Reach(t.Context(), api, "web", 8080); return err },
		func() error { _, err := nestprobe.Candidates(t.Context(), api, "web", 8080); return err },
	} {
		err := call()
		assert.Check(t, errors.Is(err, nestprobe.DockerSocketMissing), "%v", err)
		assert.ErrorContains(t, err, "cannot reach web:8080: ")
	}
	engine, end := newEngine(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, true)
	defer end()
	_, err = nestprobe.Reach(t.Context(), engine, "other", 8080)
	assert.Check(t, errdefs.IsNotFound(err), "%v", err)
	_, err = nestprobe.Candidates(t.Context(), engine, "other", 8080)
	assert.Check(t, errdefs.IsNotFound(err), "%v", err)
}
