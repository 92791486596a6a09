package agentimage

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	"golang.org/x/sync/errgroup"
	"gotest.tools/v3/assert"
)

// hangGuard bounds the tests if the engine hangs.
const hangGuard = 3 * time.Minute

// agentBinary is the agent, built as `make build` does. These tests build their own, so
// that they do not depend on the files in package agents.
var agentBinary []byte

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	folder, err := os.MkdirTemp("", "nestprobe-agentimage-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(folder) }()
	path := filepath.Join(folder, "agent")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "../../../cmd/nestprobe-agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, buildErr := build.CombinedOutput(); buildErr != nil {
		fmt.Fprintf(os.Stderr, "building the agent: %v\n%s", buildErr, out)
		return 1
	}
	if agentBinary, err = os.ReadFile(path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// engine is the real engine that the environment names. Each test has its own
// repository and label, because other tests use the engine at the same time.
type engine struct {
	*client.Client
	requests   *recorder
	repository string
	label      string
}

func newEngine(tb testing.TB) *engine {
	tb.Helper()
	if testing.Short() {
		tb.Skip("needs an engine, left out by -short")
	}
	plain, err := client.NewClientWithOpts(client.FromEnv)
	assert.NilError(tb, err)
	requests := &recorder{next: plain.HTTPClient().Transport}
	api, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation(),
		client.WithHTTPClient(&http.Client{Transport: requests}))
	assert.NilError(tb, err)
	_, err = api.Ping(tb.Context())
	assert.NilError(tb, err, "this test needs an engine")
	api.NegotiateAPIVersion(tb.Context())
	unique := strings.ToLower(rand.Text())[:12]
	e := &engine{
		Client:     api,
		requests:   requests,
		repository: "nestprobe-agent-test-" + unique,
		label:      "io.nestprobe.agent.test-" + unique,
	}
	tb.Cleanup(func() {
		e.removeAll(tb)
		assert.NilError(tb, api.Close())
		assert.NilError(tb, plain.Close())
	})
	return e
}

// removeAll removes all containers and images of this test.
func (e *engine) removeAll(tb testing.TB) {
	tb.Helper()
	mine := filters.NewArgs(filters.Arg("label", e.label))
	containers, err := e.ContainerList(context.Background(), container.ListOptions{All: true, Filters: mine})
	assert.NilError(tb, err)
	for _, c := range containers {
		err = e.ContainerRemove(context.Background(), c.ID, container.RemoveOptions{Force: true})
		assert.Assert(tb, err == nil || errdefs.IsNotFound(err) || errdefs.IsConflict(err), "%v", err)
	}
	images, err := e.ImageList(context.Background(), image.ListOptions{Filters: mine})
	assert.NilError(tb, err)
	for _, found := range images {
		_, err := e.ImageRemove(context.Background(), found.ID, image.RemoveOptions{Force: true, PruneChildren: true})
		assert.Assert(tb, err == nil || errdefs.IsNotFound(err), "%v", err)
	}
}

// version is a store with an agent for this machine that has its own digest.
func (e *engine) version(version string) store {
	name := "nestprobe-agent-linux-" + runtime.GOARCH
	// Bytes after the last section of a program are not loaded. They give each test
	// its own layer: engines reuse layers, and Podman treats images that share one as
	// related.
	binary := append(slices.Clone(agentBinary), e.repository+version...)
	return store{files: fstest.MapFS{name: {Data: binary}}, repository: e.repository, label: e.label}
}

// ensure fails the test unless the image is there afterwards.
func (e *engine) ensure(tb testing.TB, s store) (string, bool) {
	tb.Helper()
	ref, loaded, err := s.ensure(tb.Context(), e, "linux", runtime.GOARCH)
	assert.NilError(tb, err)
	assert.Assert(tb, e.knows(tb, ref), "%s is not there", ref)
	return ref, loaded
}

func (e *engine) knows(tb testing.TB, ref string) bool {
	tb.Helper()
	_, err := e.ImageInspect(tb.Context(), ref)
	if !errdefs.IsNotFound(err) {
		assert.NilError(tb, err)
	}
	return err == nil
}

// recorder records the requests, without the API version in their paths.
type recorder struct {
	next http.RoundTripper

	mu       sync.Mutex
	requests []string
	uploaded int64
}

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	path := request.URL.Path
	if rest, ok := strings.CutPrefix(path, "/v"); ok {
		_, path, _ = strings.Cut(rest, "/")
	}
	r.mu.Lock()
	r.requests = append(r.requests, request.Method+" "+path)
	r.uploaded += max(request.ContentLength, 0)
	r.mu.Unlock()
	return r.next.RoundTrip(request)
}

// since returns the requests that f makes.
func (r *recorder) since(f func()) (requests []string, uploaded int64) {
	r.mu.Lock()
	r.requests, r.uploaded = nil, 0
	r.mu.Unlock()
	f()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests, r.uploaded
}

func TestEnsureUploadsOnce(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	s := e.version("1")
	var ref string
	var loaded bool
	requests, uploaded := e.requests.since(func() {
		var err error
		ref, loaded, err = s.ensure(t.Context(), e, "linux", runtime.GOARCH)
		assert.NilError(t, err)
	})
	assert.Assert(t, loaded)
	inspect := "GET images/" + ref + "/json"
	assert.DeepEqual(t, requests, []string{inspect, "POST images/load", inspect, "GET images/json"})
	assert.Assert(t, uploaded > int64(len(agentBinary)), "%d bytes", uploaded)

	requests, uploaded = e.requests.since(func() {
		var again string
		again, loaded = e.ensure(t, s)
		assert.Equal(t, again, ref)
	})
	assert.Assert(t, !loaded)
	assert.DeepEqual(t, requests, []string{inspect, inspect}) // the second request is from the test
	assert.Equal(t, uploaded, int64(0))
}

func TestImageHasTheConfiguration(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	ref, _ := e.ensure(t, e.version("1"))
	found, err := e.ImageInspect(t.Context(), ref)
	assert.NilError(t, err)
	assert.Equal(t, found.Os+"/"+found.Architecture, "linux/"+runtime.GOARCH)
	assert.Equal(t, found.Config.User, "65534:65534")
	assert.DeepEqual(t, found.Config.Entrypoint, []string{"/nestprobe-agent"})
	assert.DeepEqual(t, found.Config.Labels, map[string]string{e.label: ref[len(e.repository)+1:]})
	_, exposed := found.Config.ExposedPorts["4647/tcp"]
	assert.Assert(t, exposed)
}

func TestLoadingRemovesOtherVersions(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	var previous string
	for _, version := range []string{"1", "2", "3"} {
		ref, loaded := e.ensure(t, e.version(version))
		assert.Assert(t, loaded)
		assert.Assert(t, previous == "" || !e.knows(t, previous), "%s is still there", previous)
		previous = ref
	}
	images, err := e.ImageList(t.Context(), image.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", e.label))})
	assert.NilError(t, err)
	assert.Equal(t, len(images), 1, "%v", images)
}

// An image that has a container stays, whether the container runs or not.
func TestLoadingKeepsImagesInUse(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	running, _ := e.ensure(t, e.version("1"))
	runningID := e.create(t, running)
	assert.NilError(t, e.ContainerStart(t.Context(), runningID, container.StartOptions{}))
	created, _ := e.ensure(t, e.version("2"))
	createdID := e.create(t, created)

	unused, _ := e.ensure(t, e.version("3"))
	assert.Assert(t, e.knows(t, running))
	assert.Assert(t, e.knows(t, created))
	state, err := e.ContainerInspect(t.Context(), runningID)
	assert.NilError(t, err)
	assert.Assert(t, state.State.Running)

	for _, id := range []string{runningID, createdID} {
		assert.NilError(t, e.ContainerRemove(t.Context(), id, container.RemoveOptions{Force: true}))
	}
	e.ensure(t, e.version("4"))
	for _, ref := range []string{running, created, unused} {
		assert.Assert(t, !e.knows(t, ref), "%s is still there", ref)
	}
}

// create creates a container that runs until it is removed.
func (e *engine) create(tb testing.TB, ref string) string {
	tb.Helper()
	created, err := e.ContainerCreate(tb.Context(), &container.Config{
		Image:  ref,
		Cmd:    []string{"serve", "--identity", "tok", "--deadline", "5m"},
		Labels: map[string]string{e.label: ""},
	}, &container.HostConfig{}, nil, nil, "")
	assert.NilError(tb, err)
	return created.ID
}

// Users may tag an agent, and build images from it, which inherit its label.
func TestLoadingKeepsImagesOfUsers(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	first := e.version("1")
	ref, _ := e.ensure(t, first)
	tagged, built := e.repository+"-mine:kept", e.repository+"-mine:built"
	assert.NilError(t, e.ImageTag(t.Context(), ref, tagged))
	derived, err := first.archive(runtime.GOARCH)
	assert.NilError(t, err)
	derived.Tag = built
	derived.User = "1:1"
	e.load(t, derived)

	e.ensure(t, e.version("2"))
	assert.Assert(t, !e.knows(t, ref))
	assert.Assert(t, e.knows(t, tagged))
	assert.Assert(t, e.knows(t, built))
}

func (e *engine) load(tb testing.TB, archive Archive) {
	tb.Helper()
	assert.NilError(tb, load(tb.Context(), e, archive))
}

func TestOtherImageWithTheReferenceIsReplaced(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	s := e.version("1")
	foreign, err := s.archive(runtime.GOARCH)
	assert.NilError(t, err)
	foreign.Labels = map[string]string{e.label: "something else"}
	e.load(t, foreign)

	ref, loaded := e.ensure(t, s)
	assert.Equal(t, ref, foreign.Tag)
	assert.Assert(t, loaded)
	found, err := e.ImageInspect(t.Context(), ref)
	assert.NilError(t, err)
	assert.Equal(t, found.Config.Labels[e.label], ref[len(e.repository)+1:])
}

func TestPluginsLoadInParallel(t *testing.T) {
	t.Parallel()
	for name, versions := range map[string][]string{
		"one version":  {"1", "1", "1", "1"},
		"two versions": {"1", "2", "1", "2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEngine(t)
			var plugins errgroup.Group
			for _, version := range versions {
				s := e.version(version)
				plugins.Go(func() error {
					_, _, err := s.ensure(t.Context(), e, "linux", runtime.GOARCH)
					return err
				})
			}
			assert.NilError(t, plugins.Wait())
			// A plugin whose image was removed calls Ensure again.
			e.ensure(t, e.version("1"))
		})
	}
}

// tampering is a real engine that gets a changed archive.
type tampering struct {
	*engine
	change func([]byte) []byte
}

func (a tampering) ImageLoad(ctx context.Context, archive io.Reader, opts ...client.ImageLoadOption) (image.LoadResponse, error) {
	data, err := io.ReadAll(archive)
	if err != nil {
		return image.LoadResponse{}, err
	}
	return a.engine.ImageLoad(ctx, bytes.NewReader(a.change(data)), opts...)
}

// The engine finds the error in an archive after it has sent the status 200.
func TestEngineRefusesTheArchive(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	s := e.version("1")
	for name, change := range map[string]func([]byte) []byte{
		"nothing":       func([]byte) []byte { return nil },
		"cut":           func(data []byte) []byte { return data[:len(data)/2] },
		"without layer": func(data []byte) []byte { return bytes.Replace(data, []byte(`"layer.tar"`), []byte(`"other.tar"`), 1) },
	} {
		_, loaded, err := s.ensure(t.Context(), tampering{e, change}, "linux", runtime.GOARCH)
		assert.ErrorContains(t, err, "agent image", name)
		assert.Assert(t, !loaded, name)
		archive, err := s.archive(runtime.GOARCH)
		assert.NilError(t, err)
		assert.Assert(t, !e.knows(t, archive.Tag), name)
	}
}

func TestEnsureHonoursItsContext(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	ctx, cancel := context.WithCancel(t.Context())
	whileLoading := tampering{e, func(data []byte) []byte { cancel(); return data }}
	_, _, err := e.version("1").ensure(ctx, whileLoading, "linux", runtime.GOARCH)
	assert.ErrorIs(t, err, context.Canceled)
	assert.ErrorContains(t, err, "loading the agent image")
	_, _, err = e.version("1").ensure(ctx, e, "linux", runtime.GOARCH)
	assert.ErrorIs(t, err, context.Canceled)
}

// The image is there, as in every run but the first.
func BenchmarkEnsure(b *testing.B) {
	e := newEngine(b)
	s := e.version("1")
	e.ensure(b, s)
	for b.Loop() {
		_, _, err := s.ensure(b.Context(), e, "linux", runtime.GOARCH)
		assert.NilError(b, err)
	}
}

// The image is missing, as in the first run.
func BenchmarkEnsureLoad(b *testing.B) {
	e := newEngine(b)
	s := e.version("1")
	for b.Loop() {
		ref, loaded := e.ensure(b, s)
		assert.Assert(b, loaded)
		b.StopTimer()
		_, err := e.ImageRemove(b.Context(), ref, image.RemoveOptions{PruneChildren: true})
		assert.NilError(b, err)
		b.StartTimer()
	}
}

func BenchmarkReference(b *testing.B) {
	name := "nestprobe-agent-linux-" + runtime.GOARCH
	s := store{files: fstest.MapFS{name: {Data: agentBinary}}, repository: Repository, label: Label}
	for b.Loop() {
		_, err := s.reference("linux", runtime.GOARCH)
		assert.NilError(b, err)
	}
}
