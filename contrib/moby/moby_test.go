package moby_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	docker "github.com/docker/docker/client"
	"github.com/moby/moby/client"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/contrib/moby"
)

var _ moby.Client = (*client.Client)(nil)

var apiVersion = regexp.MustCompile(`^/v1\.\d+`)

// newClient returns the client of an engine with the container web. It is not a real engine:
// the tests of contrib/testcontainers use one.
func newClient(t *testing.T) *client.Client {
	t.Helper()
	answers := map[string]string{
		"/_ping":               "OK",
		"/version":             `{"Version": "28.5.2", "ApiVersion": "1.51", "Os": "linux", "Arch": "arm64", "Platform": {"Name": "Test"}, "Components": [{"Name": "Engine", "Version": "28.5.2"}]}`,
		"/info":                `{"ID": "1", "OSType": "linux", "SecurityOptions": ["name=rootless"], "Swarm": {"NodeAddr": "192.0.2.1"}}`,
		"/containers/web/json": `{"Id": "77", "Name": "/web", "State": {"Running": true, "Pid": 7}, "NetworkSettings": {"Networks": {"shop": {"IPAddress": "172.18.0.2"}}, "Ports": {"80/tcp": [{"HostIp": "::", "HostPort": "8080"}]}}}`,
		"/containers/json":     `[{"Id": "77", "Names": ["/web"], "Ports": [{"IP": "127.0.0.1", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}]}]`,
		"/containers/77/logs":  "hello",
		"/containers/77/wait":  `{"StatusCode": 3}`,
		"/networks":            `[{"Name": "shop", "Id": "88", "Driver": "bridge"}]`,
		"/networks/shop":       `{"Name": "shop", "Driver": "bridge", "Internal": true, "IPAM": {"Config": [{"Subnet": "172.18.0.0/16"}]}, "Containers": {"77": {"Name": "web", "IPv4Address": "172.18.0.2/16"}}}`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[apiVersion.ReplaceAllString(r.URL.Path, "")]
		w.Header().Set("Api-Version", "1.51")
		w.Header().Set("Content-Type", "application/json")
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			answer = `{"message": "no such thing"}`
		}
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(server.Close)
	return open(t, "tcp://"+server.Listener.Addr().String())
}

func open(t *testing.T, host string) *client.Client {
	t.Helper()
	api, err := client.New(client.WithHost(host))
	assert.NilError(t, err)
	t.Cleanup(func() { _ = api.Close() })
	return api
}

// What the engine answers arrives in the types of docker/docker.
func TestAnswers(t *testing.T) {
	t.Parallel()
	api, ctx := moby.Adapt(newClient(t)), t.Context()

	inspected, err := api.ContainerInspect(ctx, "web")
	assert.NilError(t, err)
	assert.Equal(t, inspected.State.Pid, 7)
	assert.Equal(t, inspected.NetworkSettings.Networks["shop"].IPAddress, "172.18.0.2")
	assert.Equal(t, inspected.NetworkSettings.Ports["80/tcp"][0].HostIP, "::")

	listed, err := api.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", "a=b"))})
	assert.NilError(t, err)
	assert.Equal(t, listed[0].Ports[0].IP, "127.0.0.1")

	logs, err := api.ContainerLogs(ctx, "77", container.LogsOptions{ShowStdout: true, Tail: "1"})
	assert.NilError(t, err)
	assert.NilError(t, logs.Close())

	exits, _ := api.ContainerWait(ctx, "77", container.WaitConditionNotRunning)
	assert.Equal(t, (<-exits).StatusCode, int64(3))

	found, err := api.NetworkInspect(ctx, "shop", network.InspectOptions{})
	assert.NilError(t, err)
	assert.Check(t, found.Internal && found.IPAM.Config[0].Subnet == "172.18.0.0/16" && found.Containers["77"].IPv4Address == "172.18.0.2/16")
	networks, err := api.NetworkList(ctx, network.ListOptions{})
	assert.NilError(t, err)
	assert.Equal(t, networks[0].ID, "88")

	info, err := api.Info(ctx)
	assert.NilError(t, err)
	assert.Check(t, info.SecurityOptions[0] == "name=rootless" && info.Swarm.NodeAddr == "192.0.2.1")
	version, err := api.ServerVersion(ctx)
	assert.NilError(t, err)
	assert.Check(t, version.Version == "28.5.2" && version.Components[0].Name == "Engine" && version.Platform.Name == "Test")
}

// Errors keep what callers decide on.
func TestErrors(t *testing.T) {
	t.Parallel()
	api := moby.Adapt(newClient(t))
	_, err := api.ContainerInspect(t.Context(), "other")
	assert.Check(t, errdefs.IsNotFound(err), "%v", err)
	_, errs := api.ContainerWait(t.Context(), "other", container.WaitConditionNotRunning)
	assert.Check(t, errdefs.IsNotFound(<-errs))

	lost := moby.Adapt(open(t, "unix://"+filepath.Join(t.TempDir(), "none.sock")))
	_, err = lost.ContainerInspect(t.Context(), "web")
	assert.Check(t, docker.IsErrConnectionFailed(err), "%v", err)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, errs = api.ContainerWait(ended, "77", container.WaitConditionNotRunning)
	assert.ErrorIs(t, <-errs, context.Canceled)
}
