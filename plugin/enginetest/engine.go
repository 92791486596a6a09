package enginetest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/client"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/internal/keep"
)

// Engine is an engine that runs.
type Engine struct {
	Kind    Kind
	Version string // the engine's own, such as "26.1.5+dfsg1"
	Host    string // what DOCKER_HOST is set to; empty for the default endpoint
	Socket  string // path of its socket; empty if clients cannot have it
	CertDir string // what DOCKER_CERT_PATH is set to; empty without TLS
	Bin     string // folder with programs for its clients, first in their PATH; empty for none
	Netns   string // path of its clients' network namespace; empty for the test's own
	Address string // IP address of a remote engine; empty for one beside its clients
	LogDir  string // folder with its daemon's log

	id   string
	api  string     // path of a socket for tests, where they cannot use the clients' endpoint
	conn *keep.Conn // of a private engine, which lives as long as the connection
}

// Get returns the run's engine of a kind, and starts it if this is the first
// call. It ends the test if the engine does not start, and skips it under
// -short. All tests share the engine: a test must not depend on what else is on it.
func Get(tb testing.TB, kind Kind) *Engine {
	tb.Helper()
	skipIfShort(tb)
	reply := mustRequest(tb, keep.Request{Op: keep.OpShared, Kind: kind, Image: imageFor(tb, kind)})
	return newEngine(reply.Engine)
}

// StartPrivate starts an engine of a kind for one test, which may stop and
// restart it. It is taken down at the end of the test. More arguments are dockerd's.
func StartPrivate(tb testing.TB, kind Kind, args ...string) *Engine {
	tb.Helper()
	skipIfShort(tb)
	conn, err := keep.Attach(tb.Context())
	if err != nil {
		tb.Fatal(explainAttach(err))
	}
	tb.Cleanup(func() { _ = conn.Close() })
	reply, err := conn.Do(tb.Context(), keep.Request{Op: keep.OpPrivate, Kind: kind, Image: imageFor(tb, kind), Args: args})
	if err != nil {
		failOrSkip(tb, err)
	}
	engine := newEngine(reply.Engine)
	engine.conn = conn
	return engine
}

// imageFor is the image that the keeper needs for an engine of a kind.
func imageFor(tb testing.TB, kind Kind) keep.Image {
	tb.Helper()
	if kind != Dind {
		return keep.Image{}
	}
	image, err := dindArchive(tb.Context())
	if err != nil {
		tb.Fatalf("making the image of a nested engine: %v", err)
	}
	return image
}

func newEngine(e *keep.Engine) *Engine {
	return &Engine{
		Kind: e.Kind, Version: e.Version, Host: e.Host, Socket: e.Socket, CertDir: e.CertDir,
		Bin: e.Bin, Netns: e.Netns, Address: e.Address, LogDir: e.Dir, id: e.ID, api: e.API,
	}
}

func skipIfShort(tb testing.TB) {
	tb.Helper()
	if testing.Short() {
		tb.Skip("-short leaves out tests with real engines")
	}
	if err := keep.Supported(); err != nil {
		failOrSkip(tb, err)
	}
}

// failOrSkip ends a test that cannot have its engine. It skips the test if this machine lacks
// what the engine needs, unless ENGINES=all.
func failOrSkip(tb testing.TB, err error) {
	tb.Helper()
	if errors.As(err, new(*keep.MissingError)) && !keep.AllRequired() {
		tb.Skip(err)
	}
	tb.Fatal(err)
}

// mustRequest has the keeper do something, and ends the test if it cannot.
func mustRequest(tb testing.TB, r keep.Request) keep.Reply {
	tb.Helper()
	reply, err := request(tb, r)
	if err != nil {
		failOrSkip(tb, err)
	}
	return reply
}

// request has the keeper do something that it may not be able to do.
func request(tb testing.TB, r keep.Request) (keep.Reply, error) {
	tb.Helper()
	conn, err := keep.Attach(tb.Context())
	if err != nil {
		tb.Fatal(explainAttach(err))
	}
	defer conn.Close() //nolint:errcheck // it was read to the end
	return conn.Do(tb.Context(), r)
}

func explainAttach(err error) string {
	return err.Error() + ": does the package have a TestMain that calls enginetest.Main?"
}

// Env is the environment that leads a docker client to the engine. It is to be added
// to an environment without DOCKER_* variables.
func (e *Engine) Env() []string {
	if e.Host == "" {
		return nil
	}
	env := []string{"DOCKER_HOST=" + e.Host}
	if e.CertDir != "" {
		env = append(env, "DOCKER_TLS_VERIFY=1", "DOCKER_CERT_PATH="+e.CertDir)
	}
	return append(env, e.path()...)
}

// path is the PATH of the engine's clients, if it is not the test's own.
func (e *Engine) path() []string {
	if e.Bin == "" {
		return nil
	}
	return []string{"PATH=" + e.Bin + string(filepath.ListSeparator) + os.Getenv("PATH")}
}

// Environ is the whole environment of a client of the engine: this process's
// own with the endpoint replaced. DOCKER_CONFIG is left as it is.
func (e *Engine) Environ() []string {
	return append(withoutEndpoint(os.Environ()), e.Env()...)
}

// withoutEndpoint leaves out what selects an endpoint or how to connect to it.
func withoutEndpoint(environ []string) []string {
	return slices.DeleteFunc(environ, func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return strings.HasPrefix(name, "DOCKER_") && name != "DOCKER_CONFIG"
	})
}

// Command is a command that runs where the engine's clients are, with [Engine.Environ]
// as its environment: in the engine's network namespace if it is beside them,
// else right here. Files and processes are the machine's in both cases.
func (e *Engine) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	if e.Netns != "" {
		args = append([]string{"--net=" + e.Netns, "--", name}, args...)
		name = "nsenter" // which execs the command: its process id and signals are the command's
	}
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // the test's own command
	cmd.Env = e.Environ()
	return cmd
}

// Client is a client of the engine's API with a negotiated version. It is
// closed at the end of the test.
func (e *Engine) Client(tb testing.TB) *client.Client {
	tb.Helper()
	options := []client.Opt{client.WithAPIVersionNegotiation()}
	switch {
	case e.api != "":
		options = append(options, client.WithHost("unix://"+e.api))
	case e.Host != "":
		options = append(options, client.WithHost(e.Host))
	default:
		options = append(options, client.WithHost(client.DefaultDockerHost))
	}
	if e.CertDir != "" {
		options = append(options, client.WithTLSClientConfig(e.cert("ca"), e.cert("cert"), e.cert("key")))
	}
	api, err := client.NewClientWithOpts(options...)
	if err != nil {
		tb.Fatalf("making a client of the %s engine: %v", e.Kind, err)
	}
	tb.Cleanup(func() { _ = api.Close() })
	return api
}

// Parent is an interface of an engine's machine for macvlan networks.
type Parent keep.Parent

// Parent returns the engine's parent for macvlan networks, and makes it if this is
// the first call in the run. The engine takes one macvlan network on it at a time.
// A private engine that is rootless or nested loses it with a restart. The error
// says why the kind can have none.
func (e *Engine) Parent(tb testing.TB) (Parent, error) {
	tb.Helper()
	reply, err := request(tb, keep.Request{Op: keep.OpParent, Engine: e.id})
	if errors.As(err, new(*keep.MissingError)) {
		failOrSkip(tb, err)
	}
	if err != nil {
		return Parent{}, err
	}
	return Parent(*reply.Parent), nil
}

// Command is a command that runs on the other machine of the parent's network.
func (p Parent) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	args = append([]string{"--net=" + p.PeerNetns, "--", name}, args...)
	return exec.CommandContext(ctx, "nsenter", args...) //nolint:gosec // the test's own command
}

func (e *Engine) cert(name string) string { return filepath.Join(e.CertDir, name+".pem") }

// CreateContext makes a docker context that leads to the engine, TLS material
// included, in the docker configuration folder config. Use it with a command
// whose environment has DOCKER_CONFIG set to that folder and no DOCKER_HOST;
// see [Engine.ContextEnviron].
func (e *Engine) CreateContext(tb testing.TB, config, name string) {
	tb.Helper()
	host := e.Host
	if host == "" {
		host = client.DefaultDockerHost
	}
	endpoint := "host=" + host
	if e.CertDir != "" {
		endpoint += ",ca=" + e.cert("ca") + ",cert=" + e.cert("cert") + ",key=" + e.cert("key")
	}
	cmd := exec.CommandContext(tb.Context(), "docker", "context", "create", name, "--docker", endpoint) //nolint:gosec // the test's own name
	cmd.Env = e.ContextEnviron(config)
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("creating a context for the %s engine: %v\n%s", e.Kind, err, out)
	}
}

// ContextEnviron is an environment that selects no endpoint and has its docker
// configuration, contexts included, in the folder config.
func (e *Engine) ContextEnviron(config string) []string {
	return append(append(withoutEndpoint(os.Environ()), e.path()...), "DOCKER_CONFIG="+config)
}

// Stop stops the daemon of a private engine and returns when it has ended.
func (e *Engine) Stop(tb testing.TB) {
	tb.Helper()
	e.control(tb, keep.OpStop)
}

// Start starts the daemon of a private engine after a Stop, with the same
// images and containers, and returns when it answers.
func (e *Engine) Start(tb testing.TB) {
	tb.Helper()
	e.control(tb, keep.OpStart)
}

// Restart stops the daemon of a private engine and starts it again.
func (e *Engine) Restart(tb testing.TB) {
	tb.Helper()
	e.Stop(tb)
	e.Start(tb)
}

func (e *Engine) control(tb testing.TB, op keep.Op) {
	tb.Helper()
	if e.conn == nil {
		tb.Fatalf("all tests share the %s engine: call StartPrivate for one to %s", e.Kind, op)
	}
	if _, err := e.conn.Do(tb.Context(), keep.Request{Op: op, Engine: e.id}); err != nil {
		tb.Fatalf("having the %s engine %s: %v", e.Kind, op, err)
	}
}
