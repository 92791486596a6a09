package enginetest_test

import (
	"context"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// On kinds that can have a parent, a container on a macvlan network is reached
// from the other machine on the parent's network, but not from its own machine.
func TestParent(t *testing.T) {
	t.Parallel()
	program := enginetest.TestProgram(t)
	for _, kind := range []enginetest.Kind{enginetest.Linux, enginetest.Toolbox, enginetest.Rootless, enginetest.Podman} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			engine := enginetest.Get(t, kind)
			parent, err := engine.Parent(t)
			assert.NilError(t, err)
			again, err := engine.Parent(t)
			assert.NilError(t, err)
			assert.Equal(t, parent, again)

			ip := startOnParent(t, engine, parent)
			url := "http://" + ip + ":8080/"
			out, _ := parent.Command(t.Context(), program, "--get", url, "--get-until", "200 ok").Output()
			assert.Check(t, cmp.Equal(strings.TrimSpace(string(out)), "200 ok"), "from the peer")
			out, _ = engine.Command(t.Context(), program, "--get", url).Output()
			assert.Check(t, !strings.Contains(string(out), "200"), "from the engine's clients: %s", out)
		})
	}
}

// startOnParent starts a server on a macvlan network and returns its address.
func startOnParent(t *testing.T, engine *enginetest.Engine, parent enginetest.Parent) string {
	t.Helper()
	api, ref := engine.Client(t), enginetest.TestImage(t, engine)
	const name = "nestprobe-enginetest-parent"
	_, err := api.NetworkCreate(t.Context(), name, network.CreateOptions{
		Driver:  "macvlan",
		Options: map[string]string{"parent": parent.Interface},
		IPAM:    &network.IPAM{Config: []network.IPAMConfig{{Subnet: parent.Subnet.String()}}},
	})
	assert.NilError(t, err)
	t.Cleanup(func() { assert.Check(t, api.NetworkRemove(context.WithoutCancel(t.Context()), name)) })
	id := start(t, api, &container.Config{Image: ref}, &container.HostConfig{NetworkMode: name})
	inspected, err := api.ContainerInspect(t.Context(), id)
	assert.NilError(t, err)
	return inspected.NetworkSettings.Networks[name].IPAddress
}

// Where there can be no parent, the error says why.
func TestNoParent(t *testing.T) {
	t.Parallel()
	_, err := enginetest.Get(t, enginetest.PodmanRootless).Parent(t)
	assert.ErrorContains(t, err, "rootless Podman")
}
