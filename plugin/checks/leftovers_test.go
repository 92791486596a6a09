package checks

import (
	"fmt"
	"testing"

	"github.com/docker/docker/api/types/container"
	dockernetwork "github.com/docker/docker/api/types/network"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

func TestReportLeftovers(t *testing.T) {
	t.Parallel()
	var found engine.Leftovers
	got, err := reportLeftovers(found, "docker -c box")
	assert.NilError(t, err)
	assert.Equal(t, got.status, report.CheckPass)

	found.Containers = []container.Summary{{Names: []string{"/one"}}, {Names: []string{"/$(reboot)"}}, {Names: []string{"/-rf"}}, {}}
	found.Networks = []dockernetwork.Summary{{Name: "two"}, {Name: "a b"}}
	got, err = reportLeftovers(found, "docker -c box")
	assert.NilError(t, err)
	assert.Equal(t, got.status, report.CheckWarning)
	assert.DeepEqual(t, got.fault.Commands, []string{"", "docker -c box rm -fv one '$(reboot)'", "docker -c box network rm two 'a b'"})

	for i := range 1000 {
		found.Networks = append(found.Networks, dockernetwork.Summary{Name: fmt.Sprint("more", i)})
	}
	got, err = reportLeftovers(found, "docker -c box")
	assert.NilError(t, err)
	assert.Equal(t, len(got.fault.Evidence), maxLines+1)
}
