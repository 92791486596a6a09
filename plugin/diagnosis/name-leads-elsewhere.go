package diagnosis

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var NameLeadsElsewhere = define("name-leads-elsewhere", addressOnly, definition{
	title:       "The name leads to other servers, too",
	hint:        "use a name that only this server has, such as the name of its container, or give the alias to one container only",
	explains:    []report.Cause{WrongServer, DefaultBridgeHasNoDNS},
	whenReached: report.SeverityWarning, // whoever uses the name may reach the other server
	rule: func(c *vantageCase, r row) *report.Fault {
		if r.Kind != report.KindContainerName || len(c.Server.Networks) == 0 {
			return nil
		}
		foreign := slices.DeleteFunc(addressesOf(r), c.Server.Has)
		if len(foreign) == 0 {
			return nil
		}
		fault := &report.Fault{}
		for _, ip := range foreign {
			also(fault, "%s leads to %s, %s", r.to.host, ip, c.whose(ip))
		}
		return fault
	},
})

// whose says which container has an address.
func (c *vantageCase) whose(ip netip.Addr) string {
	for _, n := range slices.Concat(c.Server.Networks, c.vantage.Networks) {
		if name := n.Members[ip]; name != "" {
			return fmt.Sprintf("which is container %s on network %s", name, n.Name)
		}
	}
	return "which is no address of the server"
}
