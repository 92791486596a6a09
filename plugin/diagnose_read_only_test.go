//go:build linux

package plugin_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// Without a target, diagnose changes nothing on the engine: besides reading, it only sends
// what is about an object that cannot exist, or has a body that makes nothing.
func TestDiagnoseTriesCallsThatMakeNothing(t *testing.T) {
	t.Parallel()
	onEach(t, []enginetest.Kind{enginetest.Engine26_1, enginetest.Podman}, func(t *testing.T, b *bench) {
		tap := startTap(t, b.Engine, func(m moment) {
			reads := strings.HasPrefix(m.Request, "GET ") || strings.HasPrefix(m.Request, "HEAD ")
			empty := []string{"POST /containers/create", "POST /networks/create", "POST /images/load", "POST /images/create"}
			assert.Check(t, reads || strings.Contains(m.Request, "/_nestprobe") || slices.Contains(empty, m.Request), m.Request)
		})
		before := everythingOn(t, b.Engine)
		defer func() { assert.Check(t, is.DeepEqual(everythingOn(t, b.Engine), before)) }()
		p := start(t, through(b.nestprobe(t, "diagnose"), tap))
		assert.Check(t, is.Equal(p.status(t), 0), "%s", &p.stderr)
	})
}

// everythingOn lists the ids of the containers, networks and images of an engine.
func everythingOn(t *testing.T, engine *enginetest.Engine) []string {
	t.Helper()
	api := engine.Client(t)
	images, err := api.ImageList(t.Context(), image.ListOptions{All: true})
	assert.NilError(t, err)
	networks, err := api.NetworkList(t.Context(), network.ListOptions{})
	assert.NilError(t, err)
	containers, err := api.ContainerList(t.Context(), container.ListOptions{All: true})
	assert.NilError(t, err)
	var ids []string
	for _, i := range images {
		ids = append(ids, "image "+i.ID)
	}
	for _, n := range networks {
		ids = append(ids, "network "+n.ID)
	}
	for _, c := range containers {
		ids = append(ids, "container "+c.ID)
	}
	slices.Sort(ids)
	return ids
}

// diagnose finds nothing wrong with a healthy nested engine. Scripts do not run on this
// kind.
func TestDiagnoseHealthyNestedEngine(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Dind)
	for _, args := range [][]string{{"diagnose", "-q"}, {"diagnose"}} {
		p := start(t, b.nestprobe(t, args...))
		assert.Check(t, is.Equal(p.status(t), 0), "%s%s", &p.stdout, &p.stderr)
		assert.Check(t, !strings.Contains(p.stdout.String(), "failure"), "%s", &p.stdout)
	}
}
