package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/report"

var HostAliasMissing = define("host-alias-missing", addressOnly, definition{
	title:    "The container has no such name for its host",
	hint:     "start the client container with --add-host, or use the gateway of its network",
	explains: []report.Cause{LocalhostIsThisContainer},
	rule: func(_ *vantageCase, r row) *report.Fault {
		if !aliasNotFound(r) {
			return nil
		}
		return &report.Fault{Commands: []string{"docker run --add-host " + r.to.host + ":host-gateway ..."}}
	},
})
