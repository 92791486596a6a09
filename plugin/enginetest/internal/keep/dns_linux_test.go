package keep

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"gotest.tools/v3/assert"
)

// The resolver of a Desktop-like engine knows its names, in upper and lower case, and
// only their IPv4 addresses.
func TestResolverKnowsNames(t *testing.T) {
	t.Parallel()
	machine := netip.MustParseAddr("10.231.2.1")
	server, err := serveNames("127.0.0.1:0", map[string]netip.Addr{"host.docker.internal": machine})
	assert.NilError(t, err)
	defer server.Close() //nolint:errcheck // the test ends
	addr := server.(*net.UDPConn).LocalAddr().String()
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", addr)
	}}
	for _, name := range []string{"host.docker.internal.", "Host.Docker.Internal."} {
		found, lookupErr := resolver.LookupNetIP(t.Context(), "ip4", name)
		assert.NilError(t, lookupErr)
		assert.Equal(t, len(found), 1)
		assert.Equal(t, found[0].Unmap(), machine)
	}
	_, err = resolver.LookupNetIP(t.Context(), "ip6", "host.docker.internal.")
	assert.ErrorContains(t, err, "no such host")
	_, err = resolver.LookupNetIP(t.Context(), "ip4", "docker.internal.")
	assert.ErrorContains(t, err, "no such host")
}
