package render

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// A table from the container of the command says so, also if it is the only one.
func TestHeadingOfOwnContainer(t *testing.T) {
	for name, test := range map[string]struct {
		self    *report.Self
		vantage string
		want    string // the first line
	}{
		"a machine":                   {nil, "host", "KIND"},
		"the network of the host":     {&report.Self{Name: "job", Network: "host"}, "host", "KIND"},
		"a container":                 {&report.Self{Name: "job", Network: "own"}, "container:job", "From this container (job):"},
		"a container of another":      {&report.Self{Network: "own"}, "container", "From this container:"},
		"only from another container": {&report.Self{Name: "job", Network: "own"}, "container:other", "KIND"},
	} {
		t.Run(name, func(t *testing.T) {
			rep := report.New("run")
			rep.Self = test.self
			rep.Servers = []report.Server{{Name: "web"}}
			rep.Probes = []report.Probe{{Vantage: test.vantage, Kind: report.KindContainerIP, Address: "172.17.0.2:80"}}
			first, _, _ := strings.Cut(renderWith(t, Options{}, rep), "\n")
			assert.Assert(t, strings.HasPrefix(first, test.want), first)
		})
	}
}
