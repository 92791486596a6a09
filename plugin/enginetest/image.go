package enginetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/jsonmessage"

	"github.com/nestprobe/docker-nestprobe/plugin/engine/agentimage"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/internal/keep"
)

// TestImage puts the image of [testserver] on the engine, unless it is there,
// and returns its reference. It is what a user's own image would be: FROM
// scratch, port 8080 exposed, the program as its entry point.
//
// [testserver]: https://pkg.go.dev/github.com/nestprobe/docker-nestprobe/plugin/enginetest/testserver
func TestImage(tb testing.TB, e *Engine) string {
	tb.Helper()
	api := e.Client(tb)
	version, err := api.ServerVersion(tb.Context())
	if err != nil {
		tb.Fatalf("finding the CPU of the %s engine: %v", e.Kind, err)
	}
	archive, err := testArchive(tb.Context(), version.Arch)
	if err != nil {
		tb.Fatal(err)
	}
	open := func() (io.ReadCloser, error) {
		var tar bytes.Buffer
		_, err := archive.WriteTo(&tar)
		return io.NopCloser(&tar), err
	}
	if err := loadUnlessThere(tb.Context(), api, archive.Tag, open); err != nil {
		tb.Fatalf("loading the test image into the %s engine: %v", e.Kind, err)
	}
	return archive.Tag
}

// TestProgram is the path of [testserver] as a program for this machine, to send
// requests with --get from where the clients of an engine are.
//
// [testserver]: https://pkg.go.dev/github.com/nestprobe/docker-nestprobe/plugin/enginetest/testserver
func TestProgram(tb testing.TB) string {
	tb.Helper()
	skipIfShort(tb)
	path, err := testServer.build(tb.Context(), runtime.GOARCH)
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

func testArchive(ctx context.Context, arch string) (agentimage.Archive, error) {
	path, err := testServer.build(ctx, arch)
	if err != nil {
		return agentimage.Archive{}, err
	}
	binary, err := os.ReadFile(path) //nolint:gosec // built just now
	if err != nil {
		return agentimage.Archive{}, fmt.Errorf("reading the test server: %w", err)
	}
	sum := sha256.Sum256(binary)
	return agentimage.Archive{
		Tag:          "nestprobe-testserver:" + hex.EncodeToString(sum[:6]),
		Binary:       binary,
		BinaryName:   "testserver",
		OS:           "linux",
		Arch:         arch,
		Labels:       map[string]string{Label: "testserver"},
		ExposedPorts: []string{"8080/tcp"},
	}, nil
}

// loadUnlessThere loads an archive, unless the engine has an image with its tag.
func loadUnlessThere(ctx context.Context, api client.APIClient, tag string, open func() (io.ReadCloser, error)) error {
	_, err := api.ImageInspect(ctx, tag)
	if err == nil {
		return nil
	}
	if !errdefs.IsNotFound(err) {
		return err
	}
	archive, err := open()
	if err != nil {
		return err
	}
	defer archive.Close() //nolint:errcheck // read only
	response, err := api.ImageLoad(ctx, archive)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // read to its end
	return drain(response.Body)
}

// drain reads a stream of progress messages to its end: engines report errors there
// after they have answered with 200.
func drain(stream io.Reader) error {
	return jsonmessage.DisplayJSONMessagesStream(stream, io.Discard, 0, false, nil)
}

// Registry is a registry without TLS or users, on the engine's loopback.
type Registry struct {
	Address string // host:port as the engine sees it; clients beside it see the same

	engine *Engine
}

// Registry returns the engine's registry, and starts it if this is the first
// call in the run.
func (e *Engine) Registry(tb testing.TB) *Registry {
	tb.Helper()
	reply := mustRequest(tb, keep.Request{Op: keep.OpRegistry, Engine: e.id})
	return &Registry{Address: reply.Registry, engine: e}
}

// Push copies an image of the engine into the registry as repository:tag and
// returns the reference to pull it by. The engine itself no longer has an image
// of that reference afterwards.
func (r *Registry) Push(tb testing.TB, source, repository string) string {
	tb.Helper()
	reference := r.Address + "/" + repository
	if err := r.push(tb.Context(), r.engine.Client(tb), source, reference); err != nil {
		tb.Fatalf("pushing %s from the %s engine: %v", reference, r.engine.Kind, err)
	}
	return reference
}

// emptyAuth is the header without which Docker refuses to push, empty or not.
var emptyAuth = base64.URLEncoding.EncodeToString([]byte("{}"))

func (*Registry) push(ctx context.Context, api client.APIClient, source, reference string) error {
	if err := api.ImageTag(ctx, source, reference); err != nil {
		return err
	}
	stream, err := api.ImagePush(ctx, reference, image.PushOptions{RegistryAuth: emptyAuth})
	if err != nil {
		return err
	}
	if err = errors.Join(drain(stream), stream.Close()); err != nil {
		return err
	}
	_, err = api.ImageRemove(ctx, reference, image.RemoveOptions{})
	return err
}
