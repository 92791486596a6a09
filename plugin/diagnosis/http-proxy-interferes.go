package diagnosis

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// HTTPProxyInterferes is found by its rule for a container from which the server is
// reached, by the checks for the environment and docker's configuration, and for an
// endpoint that no engine answers through a proxy.
var HTTPProxyInterferes = define(connection.HTTPProxyInterferes, addressOnly, definition{
	title:       "A proxy setting would catch this address",
	whenReached: report.SeverityWarning, // the probes use no proxy, but the container's programs do
	vantage: func(c *vantageCase) *report.Fault {
		if c.Vantage.Proxies == nil || !c.ServerReached() {
			return nil
		}
		var hosts []string
		var caught facts.Caught
		for _, host := range c.usableHosts() {
			by, ok := c.Vantage.Proxies.Catch(host)
			if !ok || strings.EqualFold(by.By.Name, "https_proxy") && c.probesOnlyHTTP() {
				return nil // an address that works and that no proxy catches
			}
			hosts, caught = append(hosts, host), by
		}
		if len(hosts) == 0 {
			return nil
		}
		return c.proxied(hosts, caught)
	},
})

// probesOnlyHTTP says whether all probes were requests without TLS.
func (c *vantageCase) probesOnlyHTTP() bool {
	return !slices.ContainsFunc(c.Rows, func(r evidence.Row) bool { return !strings.HasPrefix(r.URL, "http://") })
}

// usableHosts returns the hosts by which programs at the vantage reach the server: that of the
// address that the user has typed, if it works, or else its names, its own addresses, or the
// others that work.
func (c *vantageCase) usableHosts() []string {
	for _, r := range c.Rows {
		if r.OK && r.Address == c.Vantage.Typed {
			return []string{r.To.Host} // what they are to use
		}
	}
	for _, kinds := range [][]report.Kind{{report.KindContainerName}, {report.KindContainerIP}, nil} {
		var hosts []string
		for _, r := range c.Rows {
			if r.OK && (kinds == nil || slices.Contains(kinds, r.Kind)) && !slices.Contains(hosts, r.To.Host) {
				hosts = append(hosts, r.To.Host)
			}
		}
		if len(hosts) > 0 {
			return hosts
		}
	}
	return nil
}

func (c *vantageCase) proxied(hosts []string, caught facts.Caught) *report.Fault {
	client := c.Vantage.Place()
	setting := c.Vantage.Proxies.NoProxy()
	fault := because("%s in the environment of %s sends requests for %s to the proxy %s", caught.By.Name, client, strings.Join(hosts, ", "), caught.Proxy)
	if setting.Value == "" {
		also(fault, "it has no NO_PROXY")
	} else {
		also(fault, "no entry of its %s covers %s", setting.Name, hosts[0])
	}
	hosts = c.lastingHosts(hosts)
	if !c.Vantage.Container {
		suggest(fault, "add %s to NO_PROXY and no_proxy in the environment of the program, since some programs read only one of them", strings.Join(hosts, ","))
		return fault
	}
	suggest(fault, "start the client container with %s in NO_PROXY and no_proxy, since some programs read only one of them", strings.Join(hosts, ","))
	entries := strings.TrimPrefix(setting.Value+","+strings.Join(hosts, ","), ",")
	fault.Commands = command("docker run -e NO_PROXY=%s -e no_proxy=%s ...", entries, entries)
	return fault
}

// lastingHosts are entries of NO_PROXY for servers like this one. A server that this run has
// started is gone when they are read: its subnets stand for its addresses.
func (c *vantageCase) lastingHosts(hosts []string) []string {
	if !c.Server.StartedByUs {
		return hosts
	}
	var lasting []string
	for _, host := range hosts {
		entry := "NAME"
		if ip, err := netip.ParseAddr(host); err == nil {
			entry = host
			if n, ok := c.Server.NetworkWith(ip); ok && len(n.Subnets) > 0 {
				entry = strings.ReplaceAll(evidence.Join(n.Subnets), " ", "")
			}
		}
		if !slices.Contains(lasting, entry) {
			lasting = append(lasting, entry)
		}
	}
	return lasting
}
