package enginetest_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// A rootless engine reports that it is one, belongs to an ordinary user, and has its
// socket at the path that its clients use.
func TestRootless(t *testing.T) {
	t.Parallel()
	engine := enginetest.Get(t, enginetest.Rootless)
	api := engine.Client(t)
	info, err := api.Info(t.Context())
	assert.NilError(t, err)
	assert.Assert(t, cmp.Contains(info.SecurityOptions, "name=rootless"))

	file, err := os.Stat(engine.Socket)
	assert.NilError(t, err)
	assert.Assert(t, file.Sys().(*syscall.Stat_t).Uid != 0, "the engine's user is root")

	socket := mount.Mount{Type: mount.TypeBind, Source: engine.Socket, Target: "/var/run/docker.sock"}
	id := start(t, api, &container.Config{Image: enginetest.TestImage(t, engine)}, &container.HostConfig{Mounts: []mount.Mount{socket}})
	inspected, err := api.ContainerInspect(t.Context(), id)
	assert.NilError(t, err)
	assert.Assert(t, inspected.State.Running)
}
