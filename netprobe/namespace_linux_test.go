package netprobe_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// inNamespace is set in a test binary that was started in a new network namespace.
const inNamespace = "NETPROBE_TEST_IN_NAMESPACE"

// isolated runs the calling test once more, in a process with its own network
// namespace, and reports whether this is that process. The namespace and all that
// is in it go when the process ends. A user who is not root gets a user namespace
// too, and is root there.
func isolated(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inNamespace) != "" {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if uid := os.Getuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		t.Errorf("in the namespace:\n%s", out)
	case err != nil:
		t.Fatalf("a network namespace is needed: run as root, or where unprivileged users may make user namespaces: %v", err)
	case !strings.Contains(string(out), "--- PASS: "+t.Name()):
		t.Errorf("the test did not run in the namespace:\n%s", out)
	}
	return false
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func prefix(t *testing.T, s string) *net.IPNet {
	t.Helper()
	_, p, err := net.ParseCIDR(s)
	must(t, err)
	return p
}

// loopbackUp brings lo up, with 127.0.0.1 and ::1.
func loopbackUp(t *testing.T) netlink.Link {
	t.Helper()
	lo, err := netlink.LinkByName("lo")
	must(t, err)
	must(t, netlink.LinkSetUp(lo))
	return lo
}

// route adds a route of a special kind.
func route(t *testing.T, kind int, dst string) {
	t.Helper()
	must(t, netlink.RouteAdd(&netlink.Route{Type: kind, Dst: prefix(t, dst)}))
}

// pair makes two ends of a link: near, with the addresses given, and far, which
// has none and answers nothing, not even ARP requests.
func pair(t *testing.T, addresses ...string) (near, far netlink.Link) {
	t.Helper()
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "near"}, PeerName: "far"}))
	near, err := netlink.LinkByName("near")
	must(t, err)
	far, err = netlink.LinkByName("far")
	must(t, err)
	for _, address := range addresses {
		addr, err := netlink.ParseAddr(address)
		must(t, err)
		addr.Flags = unix.IFA_F_NODAD // there are no duplicates, and looking for them takes a second
		must(t, netlink.AddrAdd(near, addr))
	}
	must(t, netlink.LinkSetUp(near))
	must(t, netlink.LinkSetUp(far))
	eventually(t, "the links are up", func() bool { return isUp(near) && isUp(far) })
	return near, far
}

func isUp(link netlink.Link) bool {
	now, err := netlink.LinkByIndex(link.Attrs().Index)
	return err == nil && now.Attrs().OperState == netlink.OperUp
}

// eventually waits for what the kernel does in the background.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(longTimeout)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("not within the time: " + what)
		}
	}
}

// neighbour sends packets for ip to far, which drops them.
func neighbour(t *testing.T, near, far netlink.Link, ip string) {
	t.Helper()
	must(t, netlink.NeighAdd(&netlink.Neigh{
		LinkIndex: near.Attrs().Index, State: netlink.NUD_PERMANENT,
		IP: net.ParseIP(ip), HardwareAddr: far.Attrs().HardwareAddr,
	}))
}

// checkConnect probes an address that cannot be connected to, over each scheme.
func checkConnect(t *testing.T, address string, timeout time.Duration, w want, errno error) {
	t.Helper()
	w.phase = netprobe.PhaseConnect
	for _, scheme := range []netprobe.Scheme{netprobe.HTTP, netprobe.HTTPS, netprobe.TCP} {
		got := probe(t, netprobe.Target{Scheme: scheme, Address: address}, netprobe.Options{Timeout: timeout})
		check(t, got, w)
		if errno != nil && !errors.Is(got.Err, errno) {
			t.Errorf("error %v, want %v", got.Err, errno)
		}
		if got.Remote != address || len(got.Tried) != 1 || got.Tried[0].Failure != w.failure {
			t.Errorf("remote %q, tried %v", got.Remote, got.Tried)
		}
		if got.Timings.Connect <= 0 || got.Timings.FirstByte != 0 || got.Timings.Resolve != 0 {
			t.Errorf("timings %+v", got.Timings)
		}
	}
}

func TestRoutes(t *testing.T) {
	if !isolated(t) {
		return
	}
	loopbackUp(t)
	for _, family := range []string{"10.231.%d.0/24", "fd00:231:%d::/64"} {
		route(t, unix.RTN_UNREACHABLE, fmt.Sprintf(family, 1))
		route(t, unix.RTN_PROHIBIT, fmt.Sprintf(family, 2))
		route(t, unix.RTN_BLACKHOLE, fmt.Sprintf(family, 3))
	}
	near, far := pair(t, "10.231.5.1/24", "fd00:231:5::1/64")
	neighbour(t, near, far, "10.231.5.2")
	neighbour(t, near, far, "fd00:231:5::2")
	for name, test := range map[string]struct {
		hosts   []string
		failure netprobe.Failure
		errno   error
	}{
		"no route":                {[]string{"10.231.9.1", "fd00:231:9::1"}, netprobe.Unreachable, syscall.ENETUNREACH},
		"unreachable":             {[]string{"10.231.1.1", "fd00:231:1::1"}, netprobe.Unreachable, syscall.EHOSTUNREACH},
		"prohibit":                {[]string{"10.231.2.1", "fd00:231:2::1"}, netprobe.Unreachable, syscall.EACCES},
		"blackhole":               {[]string{"10.231.3.1", "fd00:231:3::1"}, netprobe.Unreachable, syscall.EINVAL},
		"dropped":                 {[]string{"10.231.5.2", "fd00:231:5::2"}, netprobe.ConnectTimeout, nil},
		"no host has the address": {[]string{"10.231.5.3", "fd00:231:5::3"}, netprobe.ConnectTimeout, nil},
		"refused":                 {[]string{"127.0.0.1", "::1"}, netprobe.Refused, syscall.ECONNREFUSED},
	} {
		for _, host := range test.hosts {
			t.Run(name+" "+host, func(t *testing.T) {
				checkConnect(t, net.JoinHostPort(host, "4647"), shortTimeout, want{failure: test.failure}, test.errno)
			})
		}
	}
}

// TestFirewallRejects: a firewall that rejects reports that the address is
// unreachable, or refuses in the name of the host.
func TestFirewallRejects(t *testing.T) {
	t.Parallel()
	if !isolated(t) {
		return
	}
	loopbackUp(t)
	for name, test := range map[string]struct {
		program, host, with string
		failure             netprobe.Failure
		errno               error
	}{
		"host unreachable":         {"iptables", "127.0.0.1", "icmp-host-unreachable", netprobe.Unreachable, syscall.EHOSTUNREACH},
		"network unreachable":      {"iptables", "127.0.0.1", "icmp-net-unreachable", netprobe.Unreachable, syscall.ENETUNREACH},
		"prohibited":               {"iptables", "127.0.0.1", "icmp-admin-prohibited", netprobe.Unreachable, syscall.EHOSTUNREACH},
		"reset":                    {"iptables", "127.0.0.1", "tcp-reset", netprobe.Refused, syscall.ECONNREFUSED},
		"address unreachable IPv6": {"ip6tables", "::1", "icmp6-addr-unreachable", netprobe.Unreachable, syscall.EHOSTUNREACH},
		"prohibited IPv6":          {"ip6tables", "::1", "icmp6-adm-prohibited", netprobe.Unreachable, syscall.EACCES},
		"reset IPv6":               {"ip6tables", "::1", "tcp-reset", netprobe.Refused, syscall.ECONNREFUSED},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // within one machine, the kernel follows ICMP only from the second packet on
			network := "tcp4"
			if test.program == "ip6tables" {
				network = "tcp6"
			}
			listener := listen(t, network, net.JoinHostPort(test.host, "0"))
			serveOn(t, listener, says("HTTP/1.1 200 OK\r\n\r\nfoo"))
			_, port, err := net.SplitHostPort(listener.Addr().String())
			must(t, err)
			reject(t, test.program, port, test.with)
			checkConnect(t, listener.Addr().String(), longTimeout, want{failure: test.failure}, test.errno)
		})
	}
}

// reject makes the firewall of the namespace reject packets for a port.
func reject(t *testing.T, program, port, with string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		program = "/usr/sbin/" + program // which an ordinary user's PATH may leave out
	}
	cmd := exec.CommandContext(t.Context(), program, "--wait", "--append", "INPUT", "-p", "tcp", "--dport", port,
		"--jump", "REJECT", "--reject-with", with)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("a firewall is needed, from the package iptables of most systems: %v\n%s", err, out)
	}
}

// TestProxiesAreIgnored: a probe uses no proxy of the environment. The address is
// not a loopback one, for which Go uses no proxy anyway.
func TestProxiesAreIgnored(t *testing.T) {
	if !isolated(t) {
		return
	}
	loopbackUp(t)
	pair(t, "10.231.5.1/24")
	const closed = "http://127.0.0.1:1"
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		t.Setenv(name, closed)
	}
	plain := httptest.NewUnstartedServer(builtin())
	plain.Listener = listen(t, "tcp4", "10.231.5.1:0")
	plain.Start()
	t.Cleanup(plain.Close)
	secure := httptest.NewUnstartedServer(builtin())
	secure.Listener = listen(t, "tcp4", "10.231.5.1:0")
	secure.StartTLS()
	t.Cleanup(secure.Close)
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	for _, server := range []*httptest.Server{plain, secure} {
		request, err := http.NewRequest(http.MethodGet, server.URL, http.NoBody)
		must(t, err)
		if proxy, err := http.ProxyFromEnvironment(request); err != nil || proxy == nil {
			t.Fatalf("others would use no proxy for %s: %v", server.URL, err)
		}
		scheme, address, _ := strings.Cut(server.URL, "://")
		got := probe(t, netprobe.Target{
			Scheme: netprobe.Scheme(scheme), Address: address, Path: "/foo", Identity: identity, WebSocket: "/ws",
		}, netprobe.Options{Timeout: longTimeout, TLS: &tls.Config{RootCAs: roots, ServerName: "example.com"}})
		check(t, got, want{phase: webSocket, status: 200, body: "foo", identity: verified, websocket: netprobe.WebSocketOK})
	}
}

// TestFailureThatSaysMost: of two addresses that do not connect, the Result is about
// the one with an answer.
func TestFailureThatSaysMost(t *testing.T) {
	if !isolated(t) {
		return
	}
	loopbackUp(t)
	route(t, unix.RTN_UNREACHABLE, "10.231.1.0/24")
	near, far := pair(t, "10.231.5.1/24")
	neighbour(t, near, far, "10.231.5.2")
	got := probe(t, netprobe.Target{Address: "server.test:4647"}, netprobe.Options{
		Timeout: shortTimeout, Resolver: nameServer(t, noError, "10.231.5.2", "10.231.1.1"),
	})
	check(t, got, want{failure: netprobe.Unreachable, phase: netprobe.PhaseConnect,
		detail: "(also tried: 10.231.5.2:4647 connect-timeout)"})
	if got.Remote != "10.231.1.1:4647" || len(got.Tried) != 2 {
		t.Errorf("remote %s, tried %+v", got.Remote, got.Tried)
	}
}

// TestNoHostHasTheAddress: after some time, the kernel stops looking for the host.
func TestNoHostHasTheAddress(t *testing.T) {
	if !isolated(t) {
		return
	}
	loopbackUp(t) // the kernel sends itself the ICMP message
	pair(t, "10.231.5.1/24")
	got := probe(t, netprobe.Target{Address: "10.231.5.3:4647"}, netprobe.Options{Timeout: longTimeout})
	check(t, got, want{failure: netprobe.Unreachable, phase: netprobe.PhaseConnect, detail: "unreachable: host unreachable"})
}

// TestNoFamily: a machine without IPv6 has no address to connect from.
func TestNoFamily(t *testing.T) {
	if !isolated(t) {
		return
	}
	lo := loopbackUp(t)
	v6, err := netlink.ParseAddr("::1/128")
	must(t, err)
	must(t, netlink.AddrDel(lo, v6))
	checkConnect(t, "[::1]:4647", longTimeout, want{failure: netprobe.Unreachable, detail: "unreachable: address not available"}, syscall.EADDRNOTAVAIL)
}

// full listens on an IPv4 address, accepts nothing, and has as many connections
// waiting as it allows.
func full(t *testing.T, ip [4]byte, port int) (address string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { _ = unix.Close(fd) })
	must(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)) // as package net does
	must(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: ip, Port: port}))
	must(t, unix.Listen(fd, 0))
	name, err := unix.Getsockname(fd)
	must(t, err)
	address = netip.AddrPortFrom(netip.AddrFrom4(ip), uint16(name.(*unix.SockaddrInet4).Port)).String()
	for {
		conn, err := net.DialTimeout("tcp4", address, shortTimeout)
		if err != nil {
			return address
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
}

func TestFullBacklog(t *testing.T) {
	t.Parallel()
	address := full(t, [4]byte{127, 0, 0, 1}, 0)
	checkConnect(t, address, shortTimeout, want{failure: netprobe.ConnectTimeout, detail: "no answer to the connection attempt within"}, nil)
}

func TestCancelledWhileConnecting(t *testing.T) {
	t.Parallel()
	address := full(t, [4]byte{127, 0, 0, 1}, 0)
	ctx, cancel := context.WithCancel(context.Background())
	defer time.AfterFunc(shortTimeout, cancel).Stop()
	got := netprobe.Probe(ctx, netprobe.Target{Address: address}, netprobe.Options{Timeout: longTimeout})
	check(t, got, want{failure: netprobe.Cancelled, phase: netprobe.PhaseConnect})
}

// TestAddressesOfAName: 127.0.0.2 comes first, 127.0.0.1 next.
func TestAddressesOfAName(t *testing.T) {
	good := says("HTTP/1.1 200 OK\r\n\r\nfoo")
	type address struct {
		full   bool
		server func(net.Conn) // nil: refused
	}
	for name, test := range map[string]struct {
		first, second address
		timeout       time.Duration
		remote        string
		tried         []netprobe.Failure
		want          want
	}{
		"first good": {
			first: address{server: good}, second: address{server: good}, remote: "127.0.0.2",
			tried: []netprobe.Failure{""},
			want:  want{phase: answer, status: 200, body: "foo", detail: "answered 200"},
		},
		"first refused": {
			second: address{server: good}, remote: "127.0.0.1",
			tried: []netprobe.Failure{netprobe.Refused, ""},
			want:  want{phase: answer, status: 200, body: "foo", detail: "answered 200 (also tried: 127.0.0.2:"},
		},
		"first silent": {
			first: address{full: true}, second: address{server: good}, timeout: 4 * shortTimeout, remote: "127.0.0.1",
			tried: []netprobe.Failure{netprobe.ConnectTimeout, ""},
			want:  want{phase: answer, status: 200, body: "foo", detail: "connect-timeout)"},
		},
		"first only accepts": {
			first: address{server: says("")}, second: address{server: good}, remote: "127.0.0.2",
			tried: []netprobe.Failure{""},
			want:  want{failure: netprobe.ClosedWithoutResponse, phase: request},
		},
		"first silent, second refused": {
			first: address{full: true}, timeout: 2 * shortTimeout, remote: "127.0.0.1",
			tried: []netprobe.Failure{netprobe.ConnectTimeout, netprobe.Refused},
			want:  want{failure: netprobe.Refused, phase: netprobe.PhaseConnect, detail: "connect-timeout)"},
		},
		"first refused, second silent": {
			second: address{full: true}, timeout: 2 * shortTimeout, remote: "127.0.0.2",
			tried: []netprobe.Failure{netprobe.Refused, netprobe.ConnectTimeout},
			want:  want{failure: netprobe.Refused, phase: netprobe.PhaseConnect, detail: "connect-timeout)"},
		},
	} {
		t.Run(name, func(t *testing.T) { // one at a time: each takes the first free port
			port := freePort(t)
			open := func(ip [4]byte, a address) {
				switch {
				case a.full:
					full(t, ip, port)
				case a.server != nil:
					at := netip.AddrPortFrom(netip.AddrFrom4(ip), uint16(port)).String()
					serveOn(t, listen(t, "tcp4", at), a.server)
				}
			}
			open([4]byte{127, 0, 0, 2}, test.first)
			open([4]byte{127, 0, 0, 1}, test.second)
			if test.timeout == 0 {
				test.timeout = longTimeout
			}
			got := probe(t, netprobe.Target{Address: fmt.Sprint("server.test:", port)}, netprobe.Options{
				Timeout: test.timeout, Resolver: nameServer(t, noError, "127.0.0.2", "127.0.0.1"),
			})
			check(t, got, test.want)
			tried := make([]netprobe.Failure, 0, len(got.Tried))
			for _, try := range got.Tried {
				tried = append(tried, try.Failure)
			}
			if got.Remote != fmt.Sprint(test.remote, ":", port) || !slices.Equal(tried, test.tried) {
				t.Errorf("remote %s, tried %q; want %s, %q", got.Remote, tried, test.remote, test.tried)
			}
		})
	}
}

// freePort is a port that is free on all loopback addresses, and below the range
// from which the kernel gives ports to connections.
func freePort(t *testing.T) int {
	t.Helper()
	for port := 20_000 + os.Getpid()%10_000; port < 32_768; port++ {
		listener, err := net.Listen("tcp4", fmt.Sprint(":", port))
		if err == nil {
			must(t, listener.Close())
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// TestResetWhileConnecting has a peer that answers a SYN with a SYN, as TCP allows,
// and then resets: the connection ends before it is established, whatever the
// timing.
func TestResetWhileConnecting(t *testing.T) {
	if !isolated(t) {
		return
	}
	near, far := pair(t, "10.231.5.1/24")
	neighbour(t, near, far, "10.231.5.2")
	resetter(t, far, near)
	checkConnect(t, "10.231.5.2:4647", longTimeout,
		want{failure: netprobe.Reset, detail: "reset before it was established"}, syscall.ECONNRESET)
}

// resetter answers the packets that arrive at far: a SYN with a SYN, and its
// acknowledgement with a RST.
func resetter(t *testing.T, far, near netlink.Link) {
	t.Helper()
	const allIP = unix.ETH_P_IP>>8 | unix.ETH_P_IP&0xff<<8 // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, allIP)
	must(t, err)
	to := &unix.SockaddrLinklayer{Protocol: allIP, Ifindex: far.Attrs().Index, Halen: 6}
	copy(to.Addr[:], near.Attrs().HardwareAddr)
	must(t, unix.Bind(fd, to))
	must(t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 10_000}))
	stop, stopped := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(stop); <-stopped; _ = unix.Close(fd) })
	go func() {
		defer close(stopped)
		packet := make([]byte, 2000)
		for {
			select {
			case <-stop:
				return
			default:
			}
			n, from, err := unix.Recvfrom(fd, packet, 0)
			if link, ok := from.(*unix.SockaddrLinklayer); err != nil || !ok || link.Pkttype == unix.PACKET_OUTGOING {
				continue
			}
			if answer := resetAnswer(packet[:n]); answer != nil {
				_ = unix.Sendto(fd, answer, 0, to)
			}
		}
	}()
}

// resetAnswer is the answer to an IPv4 packet of a TCP connection; nil for none.
func resetAnswer(packet []byte) []byte {
	const syn, rst, ack = 0x02, 0x04, 0x10
	if len(packet) < 40 || packet[9] != unix.IPPROTO_TCP {
		return nil
	}
	segment := packet[packet[0]&15*4:]
	const ours = 7_000_000 // the sequence number to begin with
	switch segment[13] {
	case syn:
		return segmentTo(packet, ours, syn)
	case syn | ack:
		return segmentTo(packet, ours+1, rst)
	}
	return nil
}

// segmentTo builds an empty TCP segment that goes back to where packet is from.
func segmentTo(packet []byte, sequence uint32, flags byte) []byte {
	in := packet[packet[0]&15*4:]
	out := make([]byte, 40)
	out[0], out[8], out[9] = 0x45, 64, unix.IPPROTO_TCP
	binary.BigEndian.PutUint16(out[2:], uint16(len(out)))
	copy(out[12:16], packet[16:20])
	copy(out[16:20], packet[12:16])
	segment := out[20:]
	copy(segment[0:2], in[2:4])
	copy(segment[2:4], in[0:2])
	binary.BigEndian.PutUint32(segment[4:], sequence)
	segment[12], segment[13] = 5<<4, flags
	binary.BigEndian.PutUint16(segment[14:], 65535)
	pseudo := append([]byte{}, out[12:20]...)
	pseudo = append(pseudo, 0, unix.IPPROTO_TCP, 0, byte(len(segment)))
	binary.BigEndian.PutUint16(segment[16:], checksum(append(pseudo, segment...)))
	binary.BigEndian.PutUint16(out[10:], checksum(out[:20]))
	return out
}

// checksum is that of RFC 1071.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// TestOutOfFiles: a limit of this process says nothing about the address.
func TestOutOfFiles(t *testing.T) {
	if !isolated(t) {
		return
	}
	loopbackUp(t)
	var before unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: before.Max})) // the standard three
	t.Cleanup(func() { must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &before)) })
	checkConnect(t, "127.0.0.1:4647", longTimeout,
		want{failure: netprobe.NotProbed, detail: "too many open files"}, syscall.EMFILE)
}

// TestZone: a link-local address needs its interface, which a URL escapes.
func TestZone(t *testing.T) {
	if !isolated(t) {
		return
	}
	loopbackUp(t)
	pair(t, "fe80::1/64")
	eventually(t, "the address has a route", func() bool {
		conn, err := net.Dial("udp6", "[fe80::1%near]:9") // sends nothing
		return err == nil && conn.Close() == nil
	})
	listener := listen(t, "tcp6", "[fe80::1%near]:0")
	serveOn(t, listener, says("HTTP/1.1 200 OK\r\n\r\nfoo"))
	port := listener.Addr().(*net.TCPAddr).Port
	target := netprobe.Target{Address: fmt.Sprintf("[fe80::1%%near]:%d", port)}
	check(t, probe(t, target, netprobe.Options{Timeout: longTimeout}), want{phase: answer, status: 200, body: "foo"})
	if got, want := target.URL(), fmt.Sprintf("http://[fe80::1%%25near]:%d/", port); got != want {
		t.Errorf("URL %s, want %s", got, want)
	}
}
