package candidates

import (
	"net"
	"net/netip"
	"strconv"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// List collects candidates, each address once.
type List struct {
	Candidates []Candidate

	added map[string]bool // the addresses
}

// Add adds an address and a port; nothing if the address is not valid.
func (l *List) Add(kind report.Kind, ip netip.Addr, port uint16, reason string) {
	if ip.IsValid() {
		l.AddName(kind, ip.String(), port, reason)
	}
}

// AddName adds a host, which is a name or an address, and a port.
func (l *List) AddName(kind report.Kind, host string, port uint16, reason string) {
	l.add(Candidate{Kind: kind, Address: net.JoinHostPort(host, strconv.Itoa(int(port))), Reason: reason})
}

func (l *List) add(c Candidate) {
	if l.added[c.Address] {
		return
	}
	if l.added == nil {
		l.added = map[string]bool{}
	}
	l.added[c.Address] = true
	l.Candidates = append(l.Candidates, c)
}
