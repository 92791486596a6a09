package netprobe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"
)

// maxAddresses is how many addresses of a name are dialled. A container or a host
// alias has two, one of each family; a name with more than eight is not the name
// of one server.
const maxAddresses = 8

// resolve looks up the host. The addresses keep the order of the resolver, in which
// clients try them (RFC 6724).
func (p *prober) resolve(ctx context.Context) ([]netip.AddrPort, *setback) {
	if ip, err := netip.ParseAddr(p.host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(ip.Unmap(), p.port)}, nil
	}
	began := time.Now()
	deadline, limit := p.deadline, p.deadline.Sub(p.start)
	if earlier := began.Add(p.opts.Lookup); p.opts.Lookup > 0 && earlier.Before(deadline) {
		deadline, limit = earlier, p.opts.Lookup
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	ips, err := p.opts.Resolver.LookupNetIP(ctx, "ip", p.host)
	p.result.Timings.Resolve = time.Since(began)
	if err != nil {
		return nil, resolveSetback(err, limit)
	}
	addresses := p.addresses(ips)
	for _, a := range addresses {
		p.result.Resolved = append(p.result.Resolved, a.Addr().String())
	}
	return addresses, nil
}

// addresses bounds the list and drops duplicates, which are one address in two
// notations.
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

func resolveSetback(err error, limit time.Duration) *setback {
	var dns *net.DNSError
	switch {
	case timedOut(err) || errors.Is(err, context.Canceled):
		return &setback{NameTimeout, "the lookup of the name did not end within " + limit.Round(time.Millisecond).String(), err}
	case errors.As(err, &dns) && dns.IsNotFound:
		return &setback{NameNotFound, "the name has no address", err}
	}
	return &setback{NameNotFound, "the name could not be looked up: " + err.Error(), err}
}
