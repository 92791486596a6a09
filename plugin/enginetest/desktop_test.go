package enginetest_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/go-connections/nat"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// desktops are the kinds that forward as a Desktop does.
var desktops = []enginetest.Kind{enginetest.Desktop, enginetest.DesktopGvproxy}

func onDesktops(t *testing.T, test func(*testing.T, *enginetest.Engine)) {
	t.Helper()
	for _, kind := range desktops {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			test(t, enginetest.Get(t, kind))
		})
	}
}

// From the containers of a Desktop, its names lead to what listens on the machine's
// loopback interface, published ports included. A port on which nothing listens
// refuses connections.
func TestDesktopHost(t *testing.T) {
	t.Parallel()
	onDesktops(t, testDesktopHost)
}

func testDesktopHost(t *testing.T, engine *enginetest.Engine) {
	t.Helper()
	ref := enginetest.TestImage(t, engine)
	published := startServer(t, engine, ref)
	local := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("the machine's"))
	}))
	t.Cleanup(local.Close)
	listening := strconv.Itoa(local.Listener.Addr().(*net.TCPAddr).Port)
	for address, want := range map[string]string{
		"host.docker.internal:" + listening:                   "200 the machine's",
		"gateway.docker.internal:" + listening:                "200 the machine's",
		"docker.for.mac.host.internal:" + listening:           "200 the machine's",
		published.expand("host.docker.internal:PORT"):         "200 ok",
		"host.docker.internal:" + strconv.Itoa(closedPort(t)): "refused",
		"host.docker.internal.example:" + listening:           "no such host",
	} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			_, log := runToEnd(t, engine, ref, "--get", "http://"+address+"/")
			assert.Check(t, cmp.Contains(log, want))
		})
	}
}

// A Desktop's forwarder accepts before there is a server, then closes.
func TestDesktopForwarderAcceptsFirst(t *testing.T) {
	t.Parallel()
	onDesktops(t, testDesktopForwarderAcceptsFirst)
}

func testDesktopForwarderAcceptsFirst(t *testing.T, engine *enginetest.Engine) {
	t.Helper()
	ref := enginetest.TestImage(t, engine)
	api := engine.Client(t)
	id := start(t, api, &container.Config{Image: ref, Cmd: []string{"--listen", "127.0.0.1:8080"}},
		&container.HostConfig{PortBindings: nat.PortMap{"8080/tcp": {{HostIP: "127.0.0.1"}}}})
	inspected, err := api.ContainerInspect(t.Context(), id)
	assert.NilError(t, err)
	port := inspected.NetworkSettings.Ports["8080/tcp"][0].HostPort
	out, _ := engine.Command(t.Context(), enginetest.TestProgram(t), "--get", "http://127.0.0.1:"+port+"/").Output()
	assert.Equal(t, strings.TrimSpace(string(out)), "closed")
}

// The engine refuses to publish a port that is taken on the machine, and removes the
// container.
func TestDesktopPortInUse(t *testing.T) {
	t.Parallel()
	onDesktops(t, testDesktopPortInUse)
}

func testDesktopPortInUse(t *testing.T, engine *enginetest.Engine) {
	t.Helper()
	ref := enginetest.TestImage(t, engine)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	assert.NilError(t, err)
	defer listener.Close() //nolint:errcheck // it only listens
	_, port, err := net.SplitHostPort(listener.Addr().String())
	assert.NilError(t, err)
	out, err := engine.Command(t.Context(), "docker", "run", "--rm", "-p", "127.0.0.1:"+port+":8080", ref).CombinedOutput()
	assert.Assert(t, err != nil)
	assert.Assert(t, cmp.Contains(string(out), "address already in use"))
}

// closedPort is one that nothing listened on a moment ago.
func closedPort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	assert.NilError(t, err)
	defer listener.Close() //nolint:errcheck // it only listens
	return listener.Addr().(*net.TCPAddr).Port
}
