//go:build linux

package plugin_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// labelled lists the containers and networks on an engine that carry nestprobe's
// label, each as the docker command that removes it.
func labelled(t *testing.T, engine *enginetest.Engine) []string {
	t.Helper()
	api := engine.Client(t)
	containers, err := api.ContainerList(t.Context(), container.ListOptions{All: true, Filters: ours()})
	assert.NilError(t, err)
	networks, err := api.NetworkList(t.Context(), network.ListOptions{Filters: ours()})
	assert.NilError(t, err)
	var found []string
	for _, c := range containers {
		found = append(found, "container rm -f "+c.ID)
	}
	for _, n := range networks {
		found = append(found, "network rm "+n.ID)
	}
	return found
}

// soon is how long a command of another test may take to remove what it has made. It is
// shorter than any deadline.
const soon = 30 * time.Second

// checkNothingNew fails for containers and networks that were not there before and stay.
// Other tests use the engine too, and may be about to remove theirs.
func checkNothingNew(t *testing.T, engine *enginetest.Engine, before []string) {
	t.Helper()
	left := slices.DeleteFunc(labelled(t, engine), func(object string) bool { return slices.Contains(before, object) })
	_ = eventually(soon, func() bool {
		there := labelled(t, engine)
		left = slices.DeleteFunc(left, func(object string) bool { return !slices.Contains(there, object) })
		return len(left) == 0
	})
	failForLeftovers(t, engine, left)
}

// checkNothingLeft fails if containers or networks of nestprobe's are on a private
// engine.
func checkNothingLeft(t *testing.T, engine *enginetest.Engine) {
	t.Helper()
	failForLeftovers(t, engine, labelled(t, engine))
}

// removeLeft removes what a command has said that it could not: a busy engine takes longer
// than an interrupted command waits. The plugin's reaper would remove it.
func removeLeft(t *testing.T, engine *enginetest.Engine) {
	t.Helper()
	gone := eventually(soon, func() bool {
		left := labelled(t, engine)
		for _, object := range left {
			_ = engine.Command(t.Context(), "docker", strings.Fields(object)...).Run() // it may be on its way out
		}
		return len(left) == 0
	})
	assert.Check(t, gone, "left: %v", labelled(t, engine))
}

// failForLeftovers also removes them, so that one failure does not cause others.
func failForLeftovers(t *testing.T, engine *enginetest.Engine, objects []string) {
	t.Helper()
	for _, left := range objects {
		t.Errorf("left behind: docker %s", left)
		out, err := engine.Command(t.Context(), "docker", strings.Fields(left)...).CombinedOutput()
		assert.Check(t, err, "%s", out)
	}
}
