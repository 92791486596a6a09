package engine

import (
	"net/netip"
	"testing"

	"gotest.tools/v3/assert"
)

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		all[i] = netip.MustParsePrefix(text)
	}
	return all
}

func TestFreeIPv4(t *testing.T) {
	tests := []struct {
		name  string
		taken []netip.Prefix
		first int
		want  string // empty: none
	}{
		{name: "nothing is taken", want: "172.16.0.0/24"},
		{name: "the first is taken", taken: prefixes("172.16.0.0/24"), want: "172.16.1.0/24"},
		{name: "a part of the first is taken", taken: prefixes("172.16.0.128/25"), want: "172.16.1.0/24"},
		{name: "a range over several is taken", taken: prefixes("172.16.0.0/13"), want: "172.24.0.0/24"},
		{name: "the first pool is taken", taken: prefixes("172.16.0.0/12"), want: "192.168.0.0/24"},
		{name: "a subnet of the other family does not count", taken: prefixes("fd00::/8"), want: "172.16.0.0/24"},
		{name: "the last pool", taken: prefixes("192.168.0.0/16", "172.16.0.0/12", "10.0.0.0/16"), want: "10.1.0.0/24"},
		{name: "begins at another subnet", first: 7, want: "172.16.7.0/24"},
		{name: "continues at the first subnet", first: 4095, taken: prefixes("172.31.255.0/24"), want: "172.16.0.0/24"},
		{name: "all are taken", taken: prefixes("192.168.0.0/16", "172.16.0.0/12", "10.0.0.0/8")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, ok := freeIPv4(test.taken, func(int) int { return test.first })
			assert.Equal(t, ok, test.want != "")
			if ok {
				assert.Equal(t, got.String(), test.want)
			}
		})
	}
}

func TestFreeIPv6(t *testing.T) {
	local := netip.MustParsePrefix("fd00::/8")
	first := freeIPv6(nil)
	second := freeIPv6([]netip.Prefix{first})
	for _, subnet := range []netip.Prefix{first, second} {
		assert.Assert(t, local.Contains(subnet.Addr()), subnet)
		assert.Equal(t, subnet.Bits(), 64)
		assert.Equal(t, subnet, subnet.Masked())
	}
	assert.Assert(t, !first.Overlaps(second))
}
