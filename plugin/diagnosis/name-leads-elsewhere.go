package diagnosis

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var NameLeadsElsewhere = define("name-leads-elsewhere", addressOnly, definition{
	title:       "The name does not lead to this server only",
	hint:        "use a name that only this server has, such as the name of its container, or give the alias to one container only",
	explains:    []report.Cause{WrongServer, DefaultBridgeHasNoDNS},
	whenReached: report.SeverityWarning, // whoever uses the name may reach the other server
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		if r.Kind != report.KindContainerName || len(c.Server.Networks) == 0 {
			return nil
		}
		foreign := slices.DeleteFunc(evidence.AddressesOf(r), c.Server.Has)
		if len(foreign) == 0 {
			return nil
		}
		fault := &report.Fault{}
		for _, ip := range foreign {
			also(fault, "%s leads to %s, %s", r.To.Host, ip, c.whose(ip))
			if c.inHostsFile(r.To.Host, ip) {
				also(fault, "%s was started with this entry of its hosts file (--add-host, extra_hosts)", c.Vantage.Place())
				suggest(fault, "start the client again without the entry of its hosts file for %s, or use another name of the server", r.To.Host)
			}
		}
		known := slices.ContainsFunc(foreign, func(ip netip.Addr) bool { return c.member(ip) != "" })
		if fault.Hint == "" && !known && r.To.Host == c.Server.Name && !slices.ContainsFunc(evidence.AddressesOf(r), c.Server.Has) {
			suggest(fault, "remove what gives the name %s to another address in %s: an entry of its /etc/hosts, or another DNS server in its /etc/resolv.conf", r.To.Host, c.Vantage.Place())
		}
		return fault
	},
})

// inHostsFile says whether the user has set the address of a name for the vantage. Its
// resolver then asks no DNS server.
func (c *vantageCase) inHostsFile(name string, ip netip.Addr) bool {
	return slices.ContainsFunc(c.Vantage.Hosts, func(h facts.ExtraHost) bool {
		address, err := netip.ParseAddr(h.Address)
		return err == nil && address == ip && strings.EqualFold(h.Name, name)
	})
}

// whose says which container has an address.
func (c *vantageCase) whose(ip netip.Addr) string {
	return cmp.Or(c.member(ip), "which is no address of the server")
}

// member says which container has an address on a network of the server or the vantage; empty
// if none is known.
func (c *vantageCase) member(ip netip.Addr) string {
	for _, n := range slices.Concat(c.Server.Networks, c.Vantage.Networks) {
		if name := n.Members[ip]; name != "" {
			return fmt.Sprintf("which is container %s on network %s", name, n.Name)
		}
	}
	return ""
}
