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

// fakeRegistry is an engine that has no image, and whose pulls end as the test says: a
// real one cannot be lost at will in each of these ways.
type fakeRegistry struct {
	API
	refuses error  // the pull
	says    string // the stream of the pull
	ends    error  // the stream, after that
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

// An image is unavailable when the engine says so, and not when that is lost.
func TestPullFails(t *testing.T) {
	t.Parallel()
	nobody, err := client.NewClientWithOpts(client.WithHost("unix:///nestprobe-nowhere.sock"))
	assert.NilError(t, err)
	_, gone := nobody.Ping(t.Context())
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

// Who is asked for credentials when the user gives up is not waited for, and the image
// not blamed.
func TestInterruptedWhenAskedForCredentials(t *testing.T) {
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

// Nobody is asked for credentials before a pull.
func TestCredentialsAskedForToPull(t *testing.T) {
	t.Parallel()
	asked := 0
	engine := Engine{API: fakeRegistry{}, RegistryAuth: func(string) (string, error) {
		asked++
		return "", errors.New("the keychain is locked")
	}}
	for ref, test := range map[string]struct {
		pull  PullPolicy
		says  string
		asked int
	}{
		"never":      {PullNever, "forbids to pull it", 0},
		"Not/A/Name": {PullMissing, "give it as NAME", 0},
		"missing":    {PullMissing, "the keychain is locked: check", 1},
		"always":     {PullAlways, "the keychain is locked: check", 1},
	} {
		asked = 0
		_, err := Image{Ref: ref, Pull: test.pull}.Ensure(t.Context(), engine, pulling{})
		assert.Check(t, is.ErrorContains(err, test.says))
		assert.Check(t, errors.As(err, new(*report.Fault)), ref)
		assert.Check(t, is.Equal(asked, test.asked), ref)
	}
}
