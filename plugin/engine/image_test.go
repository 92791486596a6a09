package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/jsonmessage"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// fakeRegistry is an engine without images whose pulls end as the test says. It is a fake
// because a real engine cannot be made to fail in each of these ways.
type fakeRegistry struct {
	API
	refuses error  // returned instead of a stream
	says    string // the stream of the pull
	ends    error  // the end of the stream
}

func (fakeRegistry) ImageInspect(context.Context, string, ...client.ImageInspectOption) (image.InspectResponse, error) {
	return image.InspectResponse{}, errdefs.ErrNotFound
}

func (f fakeRegistry) ImagePull(context.Context, string, image.PullOptions) (io.ReadCloser, error) {
	return io.NopCloser(io.MultiReader(strings.NewReader(f.says), failingReader{f.ends})), f.refuses
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

type pulling struct{ Progress }

func (pulling) Pull(stream io.Reader) error {
	return jsonmessage.DisplayJSONMessagesStream(stream, io.Discard, 0, false, nil)
}

// An image is unavailable if the engine says so, and not if the engine is lost.
func TestPullFails(t *testing.T) {
	t.Parallel()
	closed, err := client.NewClientWithOpts(client.WithHost("unix:///nestprobe-nowhere.sock"))
	assert.NilError(t, err)
	_, gone := closed.Ping(t.Context())
	reset := &net.OpError{Op: "read", Net: "unix", Err: syscall.ECONNRESET}
	for name, test := range map[string]struct {
		engine      fakeRegistry
		unavailable bool
		is          error
	}{
		"no such image":        {fakeRegistry{refuses: fmt.Errorf("manifest unknown: %w", errdefs.ErrNotFound)}, true, errdefs.ErrNotFound},
		"the registry is down": {fakeRegistry{refuses: fmt.Errorf("no route: %w", errdefs.ErrInternal)}, true, errdefs.ErrInternal},
		"a layer is missing":   {fakeRegistry{says: `{"status":"a"}{"errorDetail":{"message":"blob unknown"}}`}, true, nil},
		"the engine is gone":   {fakeRegistry{refuses: gone}, false, nil},
		"it ends in a message": {fakeRegistry{says: `{"status":`, ends: io.EOF}, false, io.ErrUnexpectedEOF},
		"it is reset":          {fakeRegistry{says: `{"status":"a"}`, ends: reset}, false, syscall.ECONNRESET},
		"an interrupt":         {fakeRegistry{says: `{"status":"a"}`, ends: context.Canceled}, false, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			engine := Engine{API: test.engine, RegistryAuth: func(string) (string, error) { return "", nil }}
			_, err := Image{Ref: "a"}.Ensure(t.Context(), engine, pulling{})
			fault := new(report.Fault)
			assert.Check(t, is.Equal(errors.As(err, &fault), test.unavailable), "%v", err)
			assert.Check(t, is.ErrorContains(err, "image a"))
			assert.Check(t, test.is == nil || errors.Is(err, test.is), "%v", err)
		})
	}
}

// An interrupt while the credentials are read ends Ensure immediately, and is not an
// error of the image.
func TestInterruptWhileReadingCredentials(t *testing.T) {
	t.Parallel()
	interrupted := errors.New("interrupted")
	for name, helper := range map[string]func(context.Context) (string, error){
		"hangs":    func(context.Context) (string, error) { <-t.Context().Done(); return "", nil },
		"is ended": func(ctx context.Context) (string, error) { <-ctx.Done(); return "", errors.New("signal: interrupt") },
	} {
		ctx, interrupt := context.WithCancelCause(t.Context())
		engine := Engine{API: fakeRegistry{}, RegistryAuth: func(string) (string, error) {
			interrupt(interrupted)
			return helper(ctx)
		}}
		_, err := Image{Ref: "a"}.Ensure(ctx, engine, pulling{})
		assert.Check(t, is.ErrorIs(err, interrupted), name)
		assert.Check(t, !errors.As(err, new(*report.Fault)), name)
	}
}

// Credentials are read only before a pull.
func TestCredentialsAreReadOnlyToPull(t *testing.T) {
	t.Parallel()
	requests := 0
	engine := Engine{API: fakeRegistry{}, RegistryAuth: func(string) (string, error) {
		requests++
		return "", errors.New("the keychain is locked")
	}}
	for ref, test := range map[string]struct {
		pull     PullPolicy
		says     string
		requests int
	}{
		"never":      {PullNever, "pulling it is forbidden", 0},
		"Not/A/Name": {PullMissing, "give it as NAME", 0},
		"missing":    {PullMissing, "the keychain is locked: check", 1},
		"always":     {PullAlways, "the keychain is locked: check", 1},
	} {
		requests = 0
		_, err := Image{Ref: ref, Pull: test.pull}.Ensure(t.Context(), engine, pulling{})
		assert.Check(t, is.ErrorContains(err, test.says))
		assert.Check(t, errors.As(err, new(*report.Fault)), ref)
		assert.Check(t, is.Equal(requests, test.requests), ref)
	}
}
