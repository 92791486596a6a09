package connection

import (
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

// TestSocketOnEngine: the path of a socket is that of the endpoint, unless the engine
// is on another machine or in a VM, as with Docker Desktop. Then it is the default.
func TestSocketOnEngine(t *testing.T) {
	t.Parallel()
	const usual = "/var/run/docker.sock"
	for name, test := range map[string]struct {
		host    string
		desktop bool
		want    string
	}{
		"usual socket":          {"unix:///var/run/docker.sock", false, usual},
		"usual socket, Desktop": {"unix:///var/run/docker.sock", true, usual},
		"rootless":              {"unix:///run/user/1000/docker.sock", false, "/run/user/1000/docker.sock"},
		"Podman":                {"unix:///run/podman/podman.sock", false, "/run/podman/podman.sock"},
		"Desktop for Mac":       {"unix:///Users/me/.docker/run/docker.sock", true, usual},
		"Desktop for Linux":     {"unix:///home/me/.docker/desktop/docker.sock", true, usual},
		"the same, not Desktop": {"unix:///home/me/.docker/desktop/docker.sock", false, "/home/me/.docker/desktop/docker.sock"},
		"Desktop for Windows":   {"npipe:////./pipe/dockerDesktopLinuxEngine", true, usual},
		"Windows, not Desktop":  {"npipe:////./pipe/docker_engine", false, usual},
		"tcp":                   {"tcp://192.0.2.1:2376", false, usual},
		"tcp on loopback":       {"tcp://127.0.0.1:2375", false, usual},
		"tcp, Desktop":          {"tcp://127.0.0.1:2375", true, usual},
		"ssh":                   {"ssh://me@192.0.2.1", false, usual},
		"ssh with a path":       {"ssh://me@192.0.2.1/run/other.sock", false, usual},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Check(t, is.Equal(NewSettings("test", test.host).SocketOnEngine(test.desktop), test.want))
		})
	}
}
