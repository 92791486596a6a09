// Package evidence is what was observed of a server from one vantage, and what that shows
// by itself: where an address leads, how far a connection came, who listens. It names no
// cause; the rules of package diagnosis do.
package evidence

import (
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Case is one vantage of a server, and what was observed from it.
type Case struct {
	Engine    facts.Engine
	Server    facts.Server
	Vantage   facts.Vantage
	Rows      []Row          // from this vantage
	AllProbes []report.Probe // from every vantage
}

// NewCase returns the case of one vantage, with the probes from every vantage.
func NewCase(e facts.Engine, s facts.Server, v facts.Vantage, probes []report.Probe) Case {
	c := Case{Engine: e, Server: s, Vantage: v, AllProbes: probes}
	for i, p := range probes {
		if p.Vantage == v.Name {
			c.Rows = append(c.Rows, Row{p, ParseAddress(p.Address), i})
		}
	}
	return c
}

// Row is a probe, and the host and port of its address.
type Row struct {
	report.Probe
	To    Address
	Index int // among all probes
}

// Address is the host and port of a row; IP is not valid for a name.
type Address struct {
	Host string
	IP   netip.Addr
	Port uint16
}

// ParseAddress reads HOST:PORT. What is not such an address has no host and no port.
func ParseAddress(hostport string) Address {
	host, text, _ := net.SplitHostPort(hostport)
	port, _ := strconv.ParseUint(text, 10, 16)
	ip, _ := netip.ParseAddr(host)
	return Address{host, ip, uint16(port)}
}

// ServerReached is false for a server that cannot answer: what answered was another one.
func (c *Case) ServerReached() bool {
	return c.Server.Down == nil && slices.ContainsFunc(c.Rows, func(r Row) bool { return r.OK })
}

// MayLackNames says whether the name of a container was not found on an engine that may
// have no DNS for names: Podman without aardvark-dns, or on a network without DNS.
func (c *Case) MayLackNames(r Row) bool {
	return c.Engine.Podman && Unnamed(r.Failure) && r.Kind == report.KindContainerName
}
