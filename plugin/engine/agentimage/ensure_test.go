package agentimage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	"gotest.tools/v3/assert"
)

// fakeEngine is a fake, for what tests cannot make a real engine do: run out of disk
// space, lose an image that it has just loaded, or send an invalid answer.
type fakeEngine struct {
	inspectErr error
	answer     string // to a load
	listed     []image.Summary
	listErr    error
	loads      int
	inspects   int
	there      func(inspects int) bool
	removed    []string
}

func (f *fakeEngine) ImageInspect(_ context.Context, ref string, _ ...client.ImageInspectOption) (image.InspectResponse, error) {
	f.inspects++
	if f.inspectErr != nil {
		return image.InspectResponse{}, f.inspectErr
	}
	if f.there == nil || !f.there(f.inspects) {
		return image.InspectResponse{}, errdefs.ErrNotFound
	}
	_, digest, _ := strings.Cut(ref, ":")
	var found image.InspectResponse
	err := json.Unmarshal(fmt.Appendf(nil, `{"Config":{"Labels":{%q:%q}}}`, Label, digest), &found)
	return found, err
}

func (f *fakeEngine) ImageLoad(_ context.Context, archive io.Reader, _ ...client.ImageLoadOption) (image.LoadResponse, error) {
	f.loads++
	if _, err := io.Copy(io.Discard, archive); err != nil {
		return image.LoadResponse{}, err
	}
	return image.LoadResponse{Body: io.NopCloser(strings.NewReader(f.answer)), JSON: true}, nil
}

func (f *fakeEngine) ImageList(context.Context, image.ListOptions) ([]image.Summary, error) {
	return f.listed, f.listErr
}

func (f *fakeEngine) ImageRemove(_ context.Context, ref string, options image.RemoveOptions) ([]image.DeleteResponse, error) {
	if options.Force {
		return nil, errors.New("removed by force")
	}
	f.removed = append(f.removed, ref)
	return nil, errdefs.ErrConflict
}

func TestErrorsInTheAnswerToALoad(t *testing.T) {
	t.Parallel()
	const loading = "loading the agent image into the engine: "
	const again = ": check with `docker version` that the engine is still there, and try again"
	for name, test := range map[string]struct{ answer, want string }{
		"an error with details": {
			`{"status":"Loading layer","id":"1"}` + "\n" + `{"errorDetail":{"code":1,"message":"invalid diffID"},"error":"invalid diffID"}`,
			loading + "invalid diffID" + again,
		},
		"an error without": {`{"error":"it broke"}`, loading + "it broke" + again},
		"a full disk": {
			`{"errorDetail":{"message":"Error processing tar file(exit status 1): write /nestprobe-agent: no space left on device"}}`,
			loading + "Error processing tar file(exit status 1): write /nestprobe-agent: no space left on device" +
				": free some space on the engine's disk (`docker system df` shows what uses it)",
		},
		"cut in a message": {`{"status":"Load`, loading + "reading the engine's answer: unexpected EOF" + again},
		"no messages": {
			`<html>`,
			loading + "reading the engine's answer: invalid character '<' looking for beginning of value" + again,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := &fakeEngine{answer: test.answer}
			ref, loaded, err := storeOf("one", "two").ensure(t.Context(), fake, "linux", "amd64")
			assert.Error(t, err, test.want)
			assert.Equal(t, ref, "")
			assert.Assert(t, !loaded)
			assert.Equal(t, fake.loads, 1)
		})
	}
}

// Callers need the engine's own errors to explain them.
func TestEngineErrorsAreWrapped(t *testing.T) {
	t.Parallel()
	gone := errors.New("connection refused")
	fake := &fakeEngine{inspectErr: gone}
	_, _, err := storeOf("one", "two").ensure(t.Context(), fake, "linux", "amd64")
	assert.ErrorIs(t, err, gone)
	assert.ErrorContains(t, err, "looking for the agent image")
	assert.Equal(t, fake.loads, 0)
}

// A plugin of another version may remove the image right after the load.
func TestImageLostAfterALoadIsLoadedAgain(t *testing.T) {
	t.Parallel()
	fake := &fakeEngine{there: func(inspects int) bool { return inspects > 2 }}
	_, loaded, err := storeOf("one", "two").ensure(t.Context(), fake, "linux", "amd64")
	assert.NilError(t, err)
	assert.Assert(t, loaded)
	assert.Equal(t, fake.loads, 2)
}

func TestImageThatNeverAppears(t *testing.T) {
	t.Parallel()
	s := storeOf("one", "two")
	ref, err := s.reference("linux", "amd64")
	assert.NilError(t, err)
	fake := &fakeEngine{}
	_, _, err = s.ensure(t.Context(), fake, "linux", "amd64")
	assert.Error(t, err, "the engine took the agent image 3 times, but does not know it as "+ref)
	assert.Equal(t, fake.loads, loadAttempts)
}

// The image is there, even if those of other versions cannot be removed.
func TestErrorsOfRemovingOthersAreIgnored(t *testing.T) {
	t.Parallel()
	older := image.Summary{RepoTags: []string{"nestprobe-agent:1234"}, Labels: map[string]string{Label: "1234"}}
	for name, fake := range map[string]*fakeEngine{
		"in use":    {listed: []image.Summary{older}},
		"not known": {listErr: errors.New("listing images failed")},
	} {
		fake.there = func(inspects int) bool { return inspects > 1 }
		_, _, err := storeOf("one", "two").ensure(t.Context(), fake, "linux", "amd64")
		assert.NilError(t, err, name)
		assert.Equal(t, len(fake.removed), len(fake.listed), name)
	}
}

func TestOnlyTagsOfEnsureAreRemoved(t *testing.T) {
	t.Parallel()
	s := storeOf("one", "two")
	current, err := s.describe("linux", "amd64")
	assert.NilError(t, err)
	digest := current.Labels[Label]
	labelled := func(digest string, tags ...string) image.Summary {
		return image.Summary{RepoTags: tags, Labels: map[string]string{Label: digest}}
	}
	got := s.others([]image.Summary{
		labelled(digest, current.Tag, "docker.io/library/"+current.Tag),
		labelled("1", "nestprobe-agent:1", "mine:latest"),
		labelled("2", "docker.io/library/nestprobe-agent:2"), // Podman
		labelled("3", "localhost/nestprobe-agent:3"),         // Podman
		labelled("4", "nestprobe-agent:latest"),              // a user's tag
		labelled("5", "registry.example/nestprobe-agent:5"),  // a user's push
		labelled("6", "someone/nestprobe-agent:6"),
		labelled("7", "<none>:<none>"),
		labelled("8"),
		labelled("", "nestprobe-agent:"),
	}, current)
	assert.DeepEqual(t, got, []string{
		"nestprobe-agent:1",
		"docker.io/library/nestprobe-agent:2",
		"localhost/nestprobe-agent:3",
	})
}

// The connection to the engine is real, and is closed during the load.
func TestEngineLostWhileLoading(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(http.ResponseWriter){
		"before it answers": func(http.ResponseWriter) {},
		"in its answer": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"status":"Loading layer"}`)
			_ = http.NewResponseController(w).Flush()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					http.NotFound(w, r)
					return
				}
				cut(w)
				panic(http.ErrAbortHandler)
			}))
			defer server.Close()
			api, err := client.NewClientWithOpts(client.WithHost("tcp://"+server.Listener.Addr().String()), client.WithVersion("1.41"))
			assert.NilError(t, err)
			defer func() { _ = api.Close() }()
			_, _, err = storeOf("one", "two").ensure(t.Context(), api, "linux", "amd64")
			assert.ErrorContains(t, err, "loading the agent image into the engine: ")
			assert.ErrorContains(t, err, "check with `docker version` that the engine is still there")
		})
	}
}
