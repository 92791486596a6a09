package netprobe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"
)

// maxAddresses is how many addresses of a name are dialled. A container or a
// host alias has two, one of each family; what has more than this is no single
// server.
const maxAddresses = 8

// resolve looks the host up. The addresses are in the order in which the
// resolver gives them, which is the order in which clients try them (RFC 6724).
func (p *prober) resolve(ctx context.Context) ([]netip.AddrPort, *setback) {
	if ip, err := netip.ParseAddr(p.host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(ip.Unmap(), p.port)}, nil
	}
	ctx, cancel := context.WithDeadline(ctx, p.deadline)
	defer cancel()
	began := time.Now()
	ips, err := p.opts.Resolver.LookupNetIP(ctx, "ip", p.host)
	p.result.Timings.Resolve = time.Since(began)
	if err != nil {
		return nil, p.resolveSetback(err)
	}
	return p.addresses(ips), nil
}

// addresses drops duplicates, which a resolver gives for one address in two
// notations, and bounds the list.
func (p *prober) addresses(ips []netip.Addr) []netip.AddrPort {
	addrs := make([]netip.AddrPort, 0, maxAddresses)
	for _, ip := range ips {
		addr := netip.AddrPortFrom(ip.Unmap(), p.port)
		if len(addrs) < maxAddresses && !slices.Contains(addrs, addr) {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

func (p *prober) resolveSetback(err error) *setback {
	var dns *net.DNSError
	switch {
	case timedOut(err) || errors.Is(err, context.Canceled):
		return &setback{NameTimeout, "the name was not looked up within " + p.waited(), err}
	case errors.As(err, &dns) && dns.IsNotFound:
		return &setback{NameNotFound, "the name has no address", err}
	}
	return &setback{NameNotFound, "the name could not be looked up: " + err.Error(), err}
}
