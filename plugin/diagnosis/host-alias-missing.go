package diagnosis

import (
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var HostAliasMissing = define("host-alias-missing", addressOnly, definition{
	title:     "The container has no such name for its host",
	bySetting: true,
	hint:      "start the client container with --add-host and an address of the engine's host, or use that address",
	explains:  []report.Cause{LocalhostIsThisContainer},
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		if !evidence.AliasNotFound(r) || !c.Vantage.Container || c.Vantage.Foreign || c.HasAlias() { // foreign: it would be the host of another engine
			return nil
		}
		return &report.Fault{Commands: command("docker run --add-host %s:%s ...", r.To.Host, c.hostAddress())}
	},
})

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
	i := slices.IndexFunc(c.Rows, func(r evidence.Row) bool {
		return r.OK && r.To.IP.IsValid() && (evidence.IsEngineHost(r.Kind) || c.ToServerOnHost(r))
	})
	if i < 0 {
		return "ADDRESS"
	}
	return c.Rows[i].To.Host
}
