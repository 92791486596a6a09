package netprobe_test

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// Response codes of DNS (RFC 1035, section 4.1.1).
const (
	noError  = 0
	servFail = 2
	nxDomain = 3
)

// nameServer answers every query with a code and with the addresses of the queried
// family. It returns a resolver that uses it.
func nameServer(t *testing.T, code byte, addresses ...string) *net.Resolver {
	t.Helper()
	return resolverOn(t, func(query []byte) []byte { return reply(query, code, addresses) })
}

// resolverOn returns a resolver whose name server answers with the result of a
// function; nil is for no answer.
func resolverOn(t *testing.T, answer func(query []byte) []byte) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	t.Cleanup(func() { _ = conn.Close(); <-stopped })
	go func() {
		defer close(stopped)
		query := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(query)
			if err != nil {
				return
			}
			if out := answer(query[:n]); out != nil {
				_, _ = conn.WriteTo(out, from)
			}
		}
	}()
	return resolverAt(conn.LocalAddr().String())
}

func resolverAt(address string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp4", address)
	}}
}

// reply is an answer to query, which has one question and maybe options.
func reply(query []byte, code byte, addresses []string) []byte {
	end := 12
	for query[end] != 0 {
		end += int(query[end]) + 1
	}
	end += 5 // the root, type and class
	kind := binary.BigEndian.Uint16(query[end-4:])
	out := append([]byte{}, query[:end]...)
	out[2], out[3] = 0x81, 0x80|code // an answer to a recursive query
	var answers uint16
	for _, address := range addresses {
		ip := netip.MustParseAddr(address)
		if want := map[bool]uint16{true: 1, false: 28}[ip.Is4()]; want != kind {
			continue
		}
		answers++
		out = append(out, 0xc0, 12) // the name of the query
		out = binary.BigEndian.AppendUint16(out, kind)
		out = append(out, 0, 1, 0, 0, 0, 60)
		out = binary.BigEndian.AppendUint16(out, uint16(ip.BitLen()/8))
		out = append(out, ip.AsSlice()...)
	}
	binary.BigEndian.PutUint16(out[6:], answers)
	binary.BigEndian.PutUint32(out[8:], 0)
	return out
}

func TestNames(t *testing.T) {
	t.Parallel()
	silent := resolverOn(t, func([]byte) []byte { return nil })
	for name, test := range map[string]struct {
		resolver *net.Resolver
		timeout  time.Duration
		lookup   time.Duration
		want     want
	}{
		"no such name": {
			resolver: nameServer(t, nxDomain), timeout: longTimeout,
			want: want{failure: netprobe.NameNotFound, detail: "the name has no address"},
		},
		"a name without addresses": {
			resolver: nameServer(t, noError), timeout: longTimeout,
			want: want{failure: netprobe.NameNotFound, detail: "the name has no address"},
		},
		"name server in trouble": {
			resolver: nameServer(t, servFail), timeout: longTimeout,
			want: want{failure: netprobe.NameNotFound, detail: "could not be looked up"},
		},
		"no name server": {
			resolver: resolverAt("127.0.0.1:1"), timeout: longTimeout,
			want: want{failure: netprobe.NameNotFound, detail: "could not be looked up"},
		},
		"silent name server": {
			resolver: silent, timeout: shortTimeout,
			want: want{failure: netprobe.NameTimeout, detail: "did not end within 250ms"},
		},
		"silent name server, and a limit for the lookup": {
			resolver: silent, timeout: longTimeout, lookup: shortTimeout,
			want: want{failure: netprobe.NameTimeout, detail: "did not end within 250ms"},
		},
		"silent name server, and a limit for the lookup that is longer than the probe's": {
			resolver: silent, timeout: shortTimeout, lookup: longTimeout,
			want: want{failure: netprobe.NameTimeout, detail: "did not end within 250ms"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := probe(t, netprobe.Target{Address: "server.test:4647"},
				netprobe.Options{Timeout: test.timeout, Lookup: test.lookup, Resolver: test.resolver})
			test.want.phase = netprobe.PhaseResolve
			check(t, got, test.want)
			if got.Remote != "" || len(got.Tried) != 0 || got.Timings.Resolve <= 0 || got.Timings.Connect != 0 {
				t.Errorf("remote %q, tried %v, timings %+v", got.Remote, got.Tried, got.Timings)
			}
		})
	}
}

func TestCancelledWhileResolving(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	resolver := resolverOn(t, func([]byte) []byte { cancel(); return nil })
	got := netprobe.Probe(ctx, netprobe.Target{Address: "server.test:4647"},
		netprobe.Options{Timeout: longTimeout, Resolver: resolver})
	check(t, got, want{failure: netprobe.Cancelled, phase: netprobe.PhaseResolve})
}

func TestLocalhost(t *testing.T) {
	t.Parallel()
	address := serve(t, "tcp4", says("HTTP/1.1 200 OK\r\n\r\nfoo"))
	_, port, _ := net.SplitHostPort(address)
	got := probe(t, netprobe.Target{Address: "localhost:" + port}, netprobe.Options{Timeout: longTimeout})
	check(t, got, want{phase: answer, status: 200, body: "foo"})
	if got.Remote != address {
		t.Errorf("remote %s, want %s", got.Remote, address)
	}
}

func TestIPv6(t *testing.T) {
	t.Parallel()
	address := serve(t, "tcp6", says("HTTP/1.1 200 OK\r\n\r\nfoo"))
	got := probe(t, netprobe.Target{Address: address}, netprobe.Options{Timeout: longTimeout})
	check(t, got, want{phase: answer, status: 200, body: "foo"})
	if got.Remote != address {
		t.Errorf("remote %s, want %s", got.Remote, address)
	}
}

// TestManyAddresses: the addresses of a name that are dialled are bounded.
func TestManyAddresses(t *testing.T) {
	t.Parallel()
	ips := make([]string, 0, 20)
	for i := range cap(ips) {
		ips = append(ips, netip.AddrFrom4([4]byte{127, 0, 0, byte(i/2 + 1)}).String()) // each one twice
	}
	refusing := listen(t, "tcp4", "127.0.0.1:0")
	_, port, _ := net.SplitHostPort(refusing.Addr().String())
	_ = refusing.Close()
	got := probe(t, netprobe.Target{Address: "server.test:" + port},
		netprobe.Options{Timeout: longTimeout, Resolver: nameServer(t, noError, ips...)})
	if got.OK || len(got.Tried) != 8 {
		t.Errorf("%d addresses tried: %+v", len(got.Tried), got)
	}
	seen := map[string]bool{}
	for _, try := range got.Tried {
		if seen[try.Remote] || !strings.HasSuffix(try.Remote, ":"+port) {
			t.Errorf("%s tried", try.Remote)
		}
		seen[try.Remote] = true
	}
	checkSafe(t, got)
}
