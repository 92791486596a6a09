package candidates

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/nestprobe/docker-nestprobe/plugin/facts"
)

// BenchmarkScale lists the addresses of a server that is on many networks.
func BenchmarkScale(b *testing.B) {
	for _, n := range []int{50, 500, 5000} {
		b.Run(fmt.Sprintf("networks=%d", n), func(b *testing.B) {
			known := facts.Addresses{Port: 8080, Names: []string{"web"}, Bindings: []facts.Binding{{HostIP: netip.IPv4Unspecified(), HostPort: 32768}}}
			address := netip.MustParseAddr("10.0.0.2")
			for i := range n {
				name := fmt.Sprintf("network-%d", i)
				known.Networks = append(known.Networks, facts.Network{Name: name, IPv4: address, GatewayIPv4: address.Prev()})
				known.Client = append(known.Client, facts.Network{Name: name, IPv4: address.Next(), GatewayIPv4: address.Prev()})
				address = address.Next().Next().Next()
			}
			for b.Loop() {
				ForHost(known)
				ForContainer(known)
			}
		})
	}
}
