package diagnosis

import (
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var HostAliasMissing = define("host-alias-missing", addressOnly, definition{
	title:    "The container has no such name for its host",
	hint:     "start the client container with --add-host, or use the gateway of its network",
	explains: []report.Cause{LocalhostIsThisContainer},
	rule: func(c *vantageCase, r row) *report.Fault {
		if !aliasNotFound(r) || c.hasAlias() {
			return nil
		}
		return &report.Fault{Commands: []string{"docker run --add-host " + r.to.host + ":host-gateway ..."}}
	},
})

// hasAlias says whether the vantage has another name for its host. Each product has names
// of its own, and nobody misses those of the others.
func (c *vantageCase) hasAlias() bool {
	return slices.ContainsFunc(c.rows, func(r row) bool {
		alias := r.Kind == report.KindPublishedHostAlias || r.Kind == report.KindHostAlias
		return alias && !unnamed(r.Failure)
	})
}
