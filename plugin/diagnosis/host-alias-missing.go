package diagnosis

import (
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var HostAliasMissing = define("host-alias-missing", addressOnly, definition{
	title:     "The container has no such name for its host",
	bySetting: true,
	hint:      "start the client container with --add-host and an address of the engine's host, or use that address",
	explains:  []report.Cause{LocalhostIsThisContainer},
	rule: func(c *vantageCase, r row) *report.Fault {
		if !aliasNotFound(r) || !c.vantage.Container || c.vantage.Foreign || c.hasAlias() { // foreign: it would be the host of another engine
			return nil
		}
		return &report.Fault{Commands: command("docker run --add-host %s:%s ...", r.to.host, c.hostAddress())}
	},
})

// hasAlias says whether the vantage has another name for its host. Each product has names
// of its own, and nobody misses those of the others.
func (c *vantageCase) hasAlias() bool {
	return slices.ContainsFunc(c.rows, func(r row) bool {
		alias := r.Kind == report.KindPublishedHostAlias || r.Kind == report.KindHostAlias
		return alias && !Unnamed(r.Failure)
	})
}

// hostGatewaySince is the first major version of Docker Engine that accepts host-gateway
// (Docker Engine 20.10 release notes).
const hostGatewaySince = 20

// hostAddress is what --add-host takes as the address of the engine's host. That is
// host-gateway, except where the engine refuses it (before 20.10), writes the word itself
// into the hosts file (Podman before 4.7), or takes it for an address of its own namespace
// (rootless). Then it is an address at which the host was reached.
func (c *vantageCase) hostAddress() string {
	if c.Engine.Major >= hostGatewaySince && !c.Engine.Rootless {
		return "host-gateway"
	}
	i := slices.IndexFunc(c.rows, func(r row) bool {
		return r.OK && r.to.ip.IsValid() && (isEngineHost(r.Kind) || c.toServerOnHost(r))
	})
	if i < 0 {
		return "ADDRESS"
	}
	return c.rows[i].to.host
}
