package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/engine/agentimage"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

// hangs only guards against an engine that hangs.
const hangs = 3 * time.Minute

// buildAgent builds the agent once, for an image that only these tests use: other tests
// load and remove the agent's image on the same engine.
var buildAgent = sync.OnceValues(func() (agentimage.Archive, error) {
	folder, err := os.MkdirTemp("", "nestprobe-sockets-test")
	if err != nil {
		return agentimage.Archive{}, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	path := filepath.Join(folder, "agent")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "../../cmd/nestprobe-agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return agentimage.Archive{}, fmt.Errorf("building the agent: %w\n%s", err, out)
	}
	binary, err := os.ReadFile(path)
	if err != nil {
		return agentimage.Archive{}, err
	}
	// The system does not load what follows the last section of a program. Podman treats
	// images with a common layer as related, so this layer has to differ.
	binary = append(binary, "sockets"...)
	sum := sha256.Sum256(binary)
	return agentimage.Archive{
		Tag: "nestprobe-sockets-test:" + hex.EncodeToString(sum[:6]), Binary: binary, BinaryName: "nestprobe-agent",
		OS: "linux", Arch: runtime.GOARCH, User: "65534:65534",
		Labels: map[string]string{enginetest.Label: "sockets"},
	}, nil
})

// socketsBench is an engine with the images that these tests need.
type socketsBench struct {
	api    *client.Client
	agent  string // the agent's image
	server string // the image of a user's server
	labels Labels
}

func newSocketsBench(t *testing.T, kind enginetest.Kind) *socketsBench {
	t.Helper()
	e := enginetest.Get(t, kind)
	archive, err := buildAgent()
	assert.NilError(t, err)
	b := &socketsBench{
		api: e.Client(t), agent: archive.Tag, server: enginetest.TestImage(t, e),
		labels: NewLabels(NewID(), time.Now(), hangs, false),
	}
	var tar bytes.Buffer
	_, err = archive.WriteTo(&tar)
	assert.NilError(t, err)
	response, err := b.api.ImageLoad(t.Context(), &tar)
	assert.NilError(t, err)
	_, err = io.Copy(io.Discard, response.Body)
	assert.NilError(t, err)
	assert.NilError(t, response.Body.Close())
	t.Cleanup(func() { b.checkNothingLeft(t) })
	return b
}

func (b *socketsBench) checkNothingLeft(t *testing.T) {
	t.Helper()
	left, err := b.api.ContainerList(context.Background(), container.ListOptions{
		All: true, Filters: filters.NewArgs(filters.Arg("label", LabelRun+"="+b.labels.Run)),
	})
	assert.NilError(t, err)
	assert.Check(t, is.Len(left, 0))
}

// start starts a user's server until the end of the test.
func (b *socketsBench) start(t *testing.T, network, listen string) (id string) {
	t.Helper()
	created, err := b.api.ContainerCreate(t.Context(),
		&container.Config{Image: b.server, Cmd: []string{"--listen", listen}},
		&container.HostConfig{NetworkMode: container.NetworkMode(network)}, nil, nil, "")
	assert.NilError(t, err)
	t.Cleanup(func() {
		assert.Check(t, b.api.ContainerRemove(context.Background(), created.ID, container.RemoveOptions{Force: true}))
	})
	assert.NilError(t, b.api.ContainerStart(t.Context(), created.ID, container.StartOptions{}))
	return created.ID
}

// await lists the sockets through one prober until the server listens.
func (b *socketsBench) await(t *testing.T, target string, server netip.AddrPort) listening.Listeners {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hangs)
	defer cancel()
	name := "nestprobe-" + b.labels.Run + "-await"
	defer func() { assert.Check(t, RemoveContainer(context.Background(), b.api, name, nil)) }()
	prober, err := b.engine(b.agent).StartProber(ctx, ctx, name, b.agent, container.NetworkMode("container:"+target), b.labels)
	assert.NilError(t, err)
	defer prober.Agent.Lease.Release()
	for {
		found, err := prober.Sockets(ctx)
		assert.NilError(t, err)
		if found.Serves(server) {
			return found
		}
	}
}

// state returns the inspection of a container and the changes in its file system.
func (b *socketsBench) state(t *testing.T, id string) string {
	t.Helper()
	_, inspected, err := b.api.ContainerInspectWithRaw(t.Context(), id, true)
	assert.NilError(t, err)
	changes, err := b.api.ContainerDiff(t.Context(), id)
	assert.NilError(t, err)
	return fmt.Sprintf("%s %v", inspected, changes)
}

// engine is one on which an image that is missing stays so.
func (b *socketsBench) engine(image string) Engine {
	return Engine{API: b.api, AgentImage: func(context.Context) (string, error) { return image, nil }}
}

// read lists the sockets of a network namespace through a witness that has an image, and
// removes it.
func (b *socketsBench) read(ctx context.Context, image string, where container.NetworkMode) (found listening.Listeners, err error) {
	name := "nestprobe-" + b.labels.Run + "-witness-" + NewToken(HelperBytes)
	defer func() { err = errors.Join(err, RemoveContainer(context.WithoutCancel(ctx), b.api, name, nil)) }()
	witness, err := b.engine(image).StartProber(ctx, ctx, name, image, where, b.labels)
	if err != nil {
		return found, err
	}
	defer witness.Agent.Lease.Release()
	return witness.Sockets(ctx)
}

// of is the network namespace of a container.
func of(id string) container.NetworkMode { return container.NetworkMode("container:" + id) }

// A helper lists the sockets that listen in a container, with and without a network, and
// does not change the container.
func TestSockets(t *testing.T) {
	t.Parallel()
	for _, kind := range []enginetest.Kind{enginetest.Linux, enginetest.Rootless, enginetest.Podman} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := newSocketsBench(t, kind)
			for network, listen := range map[string]string{
				"default": "127.0.0.1:8080",
				"none":    "127.0.0.1:8081",
			} {
				t.Run(network, func(t *testing.T) {
					id := b.start(t, network, listen)
					server := netip.MustParseAddrPort(listen)
					before := b.state(t, id)
					through := b.await(t, id, server)
					started := time.Now()
					found, err := b.read(t.Context(), b.agent, of(id))
					t.Logf("it took %s", time.Since(started).Round(time.Millisecond))
					assert.NilError(t, err)
					for _, l := range []listening.Listeners{through, found} {
						assert.Check(t, is.Len(l.Sockets, 1))
						assert.Check(t, l.OnlyLoopback(server.Port()), "%v", l)
						assert.Check(t, is.Len(l.Elsewhere(4647), 0))
					}
					assert.Check(t, is.Equal(b.state(t, id), before))
				})
			}
		})
	}
}

// Docker's resolver listens on a user-defined network, and is not listed. A server on all
// addresses listens on both families.
func TestSocketsOnUserNetwork(t *testing.T) {
	t.Parallel()
	for _, kind := range []enginetest.Kind{enginetest.Linux, enginetest.Engine28_5, enginetest.Podman} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := newSocketsBench(t, kind)
			name := "nestprobe-sockets-test-" + b.labels.Run
			_, err := b.api.NetworkCreate(t.Context(), name, network.CreateOptions{})
			assert.NilError(t, err)
			t.Cleanup(func() { assert.Check(t, RemoveNetwork(context.Background(), b.api, name)) })
			id := b.start(t, name, ":8080")
			found := b.await(t, id, netip.MustParseAddrPort("10.0.0.1:8080"))
			assert.Check(t, !found.LacksAddress(netip.MustParseAddr("127.0.0.1")) && len(found.Addresses) > 1, "%v", found.Addresses)
			found.Addresses = nil // they differ
			data, err := json.Marshal(found)
			assert.NilError(t, err)
			assert.Check(t, is.Equal(string(data), `{"sockets":[{"address":"[::]:8080","dualStack":"yes"}],"truncated":false}`))
		})
	}
}

// The sockets of the engine's host are listed through a container with the host's
// network, and without such a container.
func TestHostSockets(t *testing.T) {
	t.Parallel()
	for _, kind := range []enginetest.Kind{enginetest.Linux, enginetest.Engine28_5, enginetest.Rootless, enginetest.Podman} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := newSocketsBench(t, kind)
			// No other process listens on this loopback address.
			address := netip.AddrFrom4([4]byte{127, 77, byte(rand.N(256)), byte(1 + rand.N(254))})
			server := netip.AddrPortFrom(address, 8080)
			id := b.start(t, "host", server.String())
			before := b.state(t, id)
			b.await(t, id, server)
			host, err := b.read(t.Context(), b.agent, "host")
			assert.NilError(t, err)
			assert.Check(t, host.Serves(server), "%v", host)
			assert.Check(t, is.Equal(b.state(t, id), before))
		})
	}
}

// After each kind of failure there is an error, and no helper is left.
func TestSocketsFail(t *testing.T) {
	t.Parallel()
	for _, kind := range []enginetest.Kind{enginetest.Linux, enginetest.Podman} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := newSocketsBench(t, kind)
			id := b.start(t, "default", "127.0.0.1:8080")
			ended, end := context.WithCancel(t.Context())
			end()
			_, err := b.read(ended, b.agent, of(id))
			assert.Check(t, is.ErrorIs(err, context.Canceled))
			_, err = b.read(t.Context(), b.server, of(id))                            // another program
			exited := "container nestprobe-.* exited with code |writing to the agent" // it ends at once
			assert.Check(t, is.Regexp(exited, fmt.Sprint(err)))
			_, err = b.read(t.Context(), "nestprobe-nowhere", of(id))
			assert.Check(t, is.ErrorContains(err, "nestprobe-nowhere"))
			_, err = b.read(t.Context(), b.agent, of("nestprobe-nobody"))
			assert.Check(t, is.ErrorContains(err, "nestprobe-nobody"))
			assert.NilError(t, b.api.ContainerKill(t.Context(), id, "KILL"))
			_, err = b.read(t.Context(), b.agent, of(id))
			assert.Check(t, is.ErrorContains(err, "starting a helper in network container:"+id+": "))
		})
	}
}

// An agent that could not read the sockets, or is too old to do it, is an error.
func TestListenersUnknown(t *testing.T) {
	t.Parallel()
	var none *Read[listening.Listeners]
	_, err := none.result()
	assert.ErrorContains(t, err, "the agent did not list")
	_, err = (&Read[listening.Listeners]{Error: "not permitted"}).result()
	assert.Error(t, err, "not permitted")
	found, err := (&Read[listening.Listeners]{}).result()
	assert.NilError(t, err)
	assert.Check(t, is.Len(found.Sockets, 0))
}
