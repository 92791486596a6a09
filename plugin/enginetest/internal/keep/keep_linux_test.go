package keep

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// No two engines share an address, and all addresses are in the guarded range.
func TestPlansAreDisjoint(t *testing.T) {
	t.Parallel()
	guard := netip.MustParsePrefix(guardRange)
	var taken []netip.Prefix
	for slot := 1; slot < slots; slot++ {
		plan := newPlan(slot)
		link := netip.PrefixFrom(plan.inside(), 24).Masked()
		assert.Assert(t, link.Contains(plan.outside()) && link.Contains(plan.resolver()))
		parent := plan.parent()
		assert.Assert(t, link.Overlaps(parent) && parent.Contains(plan.parentAddress()), "%s of slot %d", parent, slot)
		for _, addr := range []netip.Addr{plan.outside(), plan.inside(), plan.alias(), plan.resolver(), plan.nested().Addr()} {
			assert.Assert(t, !parent.Contains(addr), "%s of slot %d has %s", parent, slot, addr)
		}
		nested := plan.nested()
		assert.Assert(t, link.Overlaps(nested) && !nested.Contains(plan.resolver()), "%s of slot %d", nested, slot)
		for _, subnet := range []netip.Prefix{link, plan.bridge().Masked(), plan.pool()} {
			assert.Equal(t, subnet, subnet.Masked(), "host bits are set")
			assert.Assert(t, guard.Contains(subnet.Addr()), "%s of slot %d is not guarded", subnet, slot)
			for _, other := range taken {
				assert.Assert(t, !subnet.Overlaps(other), "%s of slot %d overlaps %s", subnet, slot, other)
			}
			taken = append(taken, subnet)
		}
	}
}

// Each shared engine has its own address plan, below those of private engines.
func TestSharedSlots(t *testing.T) {
	t.Parallel()
	seen := map[int]Kind{}
	for _, recipe := range recipes() {
		assert.Assert(t, recipe.slot < firstPrivateSlot, "slot of %s", recipe.kind)
		assert.Equal(t, seen[recipe.slot], Kind(""), "slot %d is also that of %s", recipe.slot, recipe.kind)
		seen[recipe.slot] = recipe.kind
	}
	assert.Equal(t, newPlan(toolboxRecipe().slot).inside().String(), "10.231.1.2")
}

// The resolver of engines says that there is no such name, which Go's own
// resolver understands.
func TestResolverKnowsNoNames(t *testing.T) {
	t.Parallel()
	server, err := serveNames("127.0.0.1:0", nil)
	assert.NilError(t, err)
	defer server.Close() //nolint:errcheck // the test ends
	addr := server.(*net.UDPConn).LocalAddr().String()
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", addr)
	}}
	_, err = resolver.LookupHost(t.Context(), "host.docker.internal.")
	var dnsError *net.DNSError
	assert.Assert(t, err != nil)
	assert.Assert(t, asDNS(err, &dnsError) && dnsError.IsNotFound, "%v", err)
}

func asDNS(err error, target **net.DNSError) bool {
	dnsError, ok := err.(*net.DNSError) //nolint:errorlint // the resolver documents this very type
	*target = dnsError
	return ok
}

// An incomplete query gets no answer, and an answer is never longer than its query.
func FuzzNoSuchName(f *testing.F) {
	query := []byte{0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 0, 0, 1, 0, 1}
	f.Add(query)
	f.Add(query[:12])
	f.Add(append(query[:12:12], 200, 'a'))
	f.Fuzz(func(t *testing.T, query []byte) {
		answer := answerQuery(query, nil)
		if answer == nil {
			return
		}
		assert.Assert(t, len(answer) <= len(query))
		assert.Equal(t, binary.BigEndian.Uint16(answer), binary.BigEndian.Uint16(query))
		assert.Equal(t, answer[3]&0xf, byte(3))
		assert.Assert(t, answer[2]&0x80 != 0)
	})
}

// A lease ends once: after the last holder gave it back, or if none took it in time.
func TestLease(t *testing.T) {
	t.Parallel()
	var ended atomic.Int32
	l := newLease(time.Hour, func() { ended.Add(1) })
	for range 2 {
		assert.Assert(t, l.take())
	}
	l.give()
	assert.Equal(t, ended.Load(), int32(0))
	l.give()
	assert.Equal(t, ended.Load(), int32(1))
	assert.Assert(t, !l.take(), "a lease that ended was given out")

	over := make(chan struct{})
	newLease(time.Nanosecond, func() { close(over) })
	<-over
}
