package agentimage

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"
	"gotest.tools/v3/assert"
)

// server is a container as the plugin creates it: attached, with the fewest privileges,
// and removed by the engine when it ends.
type server struct {
	id       string
	attached types.HijackedResponse
	gone     <-chan container.WaitResponse
	waitErr  <-chan error
}

func startServer(t *testing.T, e *engine, ref string) *server {
	t.Helper()
	// Attaching hijacks a connection, which the recorder does not support.
	api, err := client.NewClientWithOpts(client.FromEnv, client.WithVersion(e.ClientVersion()))
	assert.NilError(t, err)
	t.Cleanup(func() { assert.NilError(t, api.Close()) })
	created, err := api.ContainerCreate(t.Context(), &container.Config{
		Image:        ref,
		Cmd:          []string{"serve", "--port", "4647", "--identity", "tok", "--lease", "--deadline", "5m"},
		AttachStdin:  true,
		AttachStdout: true,
		AttachStderr: true,
		OpenStdin:    true,
		StdinOnce:    true,
		Labels:       map[string]string{e.label: ""},
	}, &container.HostConfig{
		AutoRemove:     true,
		ReadonlyRootfs: true,
		CapDrop:        []string{"ALL"},
		SecurityOpt:    []string{"no-new-privileges"},
	}, nil, nil, "")
	assert.NilError(t, err)
	s := &server{id: created.ID}
	s.attached, err = api.ContainerAttach(t.Context(), created.ID, container.AttachOptions{
		Stream: true, Stdin: true, Stdout: true, Stderr: true,
	})
	assert.NilError(t, err)
	t.Cleanup(s.attached.Close)
	ctx, cancel := context.WithTimeout(context.Background(), hangGuard)
	t.Cleanup(cancel)
	s.gone, s.waitErr = api.ContainerWait(ctx, created.ID, container.WaitConditionRemoved)
	assert.NilError(t, api.ContainerStart(t.Context(), created.ID, container.StartOptions{}))
	return s
}

// firstLine is the line that the server prints when it listens.
func (s *server) firstLine(t *testing.T) string {
	t.Helper()
	out, in := io.Pipe()
	go func() {
		_, err := stdcopy.StdCopy(in, in, s.attached.Reader)
		_ = in.CloseWithError(err)
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	assert.NilError(t, err)
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return line
}

func (s *server) assertGone(t *testing.T, e *engine, status int64) {
	t.Helper()
	select {
	case end := <-s.gone:
		assert.Assert(t, end.Error == nil, "%v", end.Error)
		assert.Equal(t, end.StatusCode, status)
	case err := <-s.waitErr:
		assert.NilError(t, err)
	}
	_, err := e.ContainerInspect(t.Context(), s.id)
	assert.ErrorContains(t, err, "o such container")
}

func TestServerLivesAsLongAsItsAttachment(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	ref, _ := e.ensure(t, e.version("1"))
	s := startServer(t, e, ref)
	assert.Assert(t, strings.HasPrefix(s.firstLine(t), "listening on "))

	state, err := e.ContainerInspect(t.Context(), s.id)
	assert.NilError(t, err)
	assertUnprivileged(t, state.State.Pid)
	for _, network := range state.NetworkSettings.Networks {
		assertAnswers(t, network.IPAddress)
	}

	s.attached.Close()
	s.assertGone(t, e, 0)
}

func TestServerStopsOnDockerStop(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	ref, _ := e.ensure(t, e.version("1"))
	s := startServer(t, e, ref)
	s.firstLine(t)
	timeout := int(hangGuard.Seconds()) // the engine then kills it, with status 137
	assert.NilError(t, e.ContainerStop(t.Context(), s.id, container.StopOptions{Timeout: &timeout}))
	s.assertGone(t, e, 0)
}

// assertUnprivileged reads the process's status from the kernel, which works for every
// engine on this machine.
func assertUnprivileged(t *testing.T, pid int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	assert.NilError(t, err)
	for _, want := range []string{
		"Uid:\t65534\t65534\t65534\t65534\n",
		"Gid:\t65534\t65534\t65534\t65534\n",
		"CapEff:\t0000000000000000\n",
		"CapBnd:\t0000000000000000\n",
		"NoNewPrivs:\t1\n",
	} {
		assert.Assert(t, strings.Contains(string(status), want), "no %q in:\n%s", want, status)
	}
}

func assertAnswers(t *testing.T, ip string) {
	t.Helper()
	requester := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	response, err := requester.Get("http://" + ip + ":4647/foo")
	assert.NilError(t, err)
	body, err := io.ReadAll(response.Body)
	assert.NilError(t, err)
	assert.NilError(t, response.Body.Close())
	assert.Equal(t, response.StatusCode, http.StatusOK)
	assert.Equal(t, string(body), "foo")
	assert.Equal(t, response.Header.Get("Nestprobe-Identity"), "tok")
}
