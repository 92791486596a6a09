package listening

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// ownNamespace puts only this test into a new network namespace, which also has addresses
// that are not loopback addresses.
func ownNamespace(t *testing.T) {
	t.Helper()
	enginetest.OwnNetns(t)
	lo, err := netlink.LinkByName("lo")
	assert.NilError(t, err)
	assert.Equal(t, lo.Attrs().Index, loopbackInterface)
	assert.NilError(t, netlink.LinkSetUp(lo))
	for _, text := range []string{"10.231.9.2/32", "fd00:231:9::2/128"} {
		address, err := netlink.ParseAddr(text)
		assert.NilError(t, err)
		address.Flags = unix.IFA_F_NODAD // there can be no duplicates, and their detection takes a second
		assert.NilError(t, netlink.AddrAdd(lo, address))
	}
}

// opening opens a socket until the end of the test.
type opening func(t *testing.T)

// listen opens a socket with package net.
func listen(network, address string) opening {
	return listenBy(&net.ListenConfig{}, network, address)
}

func listenBy(config *net.ListenConfig, network, address string) opening {
	return func(t *testing.T) {
		t.Helper()
		listener, err := config.Listen(t.Context(), network, address)
		assert.NilError(t, err)
		t.Cleanup(func() { _ = listener.Close() })
	}
}

// bind opens a socket with system calls, for what package net does not support.
func bind(family int, address unix.Sockaddr, set func(fd int) error) opening {
	return func(t *testing.T) {
		t.Helper()
		fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		assert.NilError(t, err)
		t.Cleanup(func() { assert.Check(t, unix.Close(fd)) })
		assert.NilError(t, set(fd))
		assert.NilError(t, unix.Bind(fd, address))
		assert.NilError(t, unix.Listen(fd, 1))
	}
}

// inIPv6 opens a socket on an IPv4-mapped IPv6 address.
func inIPv6(address string, port int) opening {
	mapped := &unix.SockaddrInet6{Addr: netip.MustParseAddr("::ffff:" + address).As16(), Port: port}
	return bind(unix.AF_INET6, mapped, func(int) error { return nil })
}

func toLo(fd int) error  { return unix.BindToDevice(fd, "lo") }
func share(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }

func connect(address string) opening {
	return func(t *testing.T) {
		t.Helper()
		conn, err := net.Dial("tcp", address)
		assert.NilError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
	}
}

func udp(t *testing.T) {
	t.Helper()
	conn, err := net.ListenPacket("udp", ":80")
	assert.NilError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
}

// plainTCP disables Multipath TCP, which package net uses by default.
func plainTCP() *net.ListenConfig {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	return &config
}

func TestRead(t *testing.T) {
	t.Parallel()
	any4 := func() unix.Sockaddr { return &unix.SockaddrInet4{Port: 80} } // unix.Bind writes into it
	for name, test := range map[string]struct {
		open []opening
		want []Socket
	}{
		"nothing":          {},
		"UDP":              {open: []opening{udp}},
		"loopback":         {[]opening{listen("tcp", "127.0.0.1:80")}, []Socket{on("127.0.0.1:80")}},
		"loopback of IPv6": {[]opening{listen("tcp", "[::1]:80")}, []Socket{on("[::1]:80")}},
		"any of IPv4":      {[]opening{listen("tcp4", ":80")}, []Socket{on("0.0.0.0:80")}},
		"any of IPv6":      {[]opening{listen("tcp6", ":80")}, []Socket{with(on("[::]:80"), v6Only)}},
		"any of both":      {[]opening{listen("tcp", ":80")}, []Socket{on("[::]:80")}},
		"no Multipath TCP": {[]opening{listenBy(plainTCP(), "tcp", ":80")}, []Socket{on("[::]:80")}},
		"any of each": {
			[]opening{listen("tcp4", ":80"), listen("tcp6", ":80")},
			[]Socket{on("0.0.0.0:80"), with(on("[::]:80"), v6Only)},
		},
		"addresses": {
			[]opening{listen("tcp", "[fd00:231:9::2]:80"), listen("tcp", "10.231.9.2:80"), listen("tcp", "10.231.9.2:9")},
			[]Socket{on("10.231.9.2:9"), on("10.231.9.2:80"), on("[fd00:231:9::2]:80")},
		},
		"IPv4-mapped IPv6": {
			[]opening{inIPv6("127.0.0.1", 80), inIPv6("0.0.0.0", 81), inIPv6("127.0.0.11", 82)},
			[]Socket{on("127.0.0.1:80"), on("0.0.0.0:81")},
		},
		"only through lo":      {[]opening{bind(unix.AF_INET, any4(), toLo)}, []Socket{with(on("0.0.0.0:80"), onLo)}},
		"several share a port": {[]opening{bind(unix.AF_INET, any4(), share), bind(unix.AF_INET, any4(), share)}, []Socket{on("0.0.0.0:80")}},
		"Docker's resolver": {
			[]opening{listen("tcp", "127.0.0.11:40001"), listen("tcp", "127.0.0.12:40001")},
			[]Socket{on("127.0.0.12:40001")},
		},
		"a connection": {
			[]opening{listen("tcp", "127.0.0.1:80"), connect("127.0.0.1:80")},
			[]Socket{on("127.0.0.1:80")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ownNamespace(t)
			for _, open := range test.open {
				open(t)
			}
			got, err := Read()
			assert.NilError(t, err)
			assert.Check(t, !got.Truncated)
			assert.Check(t, slices.Equal(got.Sockets, test.want), "got %v, want %v", got.Sockets, test.want)
		})
	}
}

// Truncated is set if sockets are left out, and not if exactly the limit was read.
func TestReadIsBounded(t *testing.T) {
	t.Parallel()
	ownNamespace(t)
	for port := 1; port <= 3; port++ {
		listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))(t)
		listen("tcp4", fmt.Sprintf("127.0.0.11:%d", port))(t) // does not count
	}
	for limit, truncated := range map[int]bool{0: true, 2: true, 3: false, 4: false} {
		got, err := read(limit, anyInode)
		assert.NilError(t, err)
		assert.Check(t, is.Equal(got.Truncated, truncated), "limit %d", limit)
		assert.Check(t, is.Len(got.Sockets, min(limit, 3)))
	}
}

// A process that may not use netlink gets an error, not an empty list.
func TestReadForbidden(t *testing.T) {
	t.Parallel()
	forbidNetlink(t)
	_, err := Read()
	assert.ErrorIs(t, err, unix.EPERM)
	assert.ErrorContains(t, err, "reading the listening sockets from the kernel: ")
}

// forbidNetlink sets a seccomp filter on the test's thread, as an engine may do for a
// container.
func forbidNetlink(t *testing.T) {
	t.Helper()
	const number, firstArgument = 0, 16 // in struct seccomp_data, seccomp(2)
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_SOCKET, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: firstArgument},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.AF_NETLINK, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	runtime.LockOSThread() // never unlocked, as in ownNamespace
	assert.NilError(t, unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
	program := &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	assert.NilError(t, unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(program)), 0, 0))
}

// messageOn returns the kernel's message about a socket on [::]:80.
func messageOn(attributes ...byte) []byte {
	message := make([]byte, messageSize)
	message[0], message[5] = unix.AF_INET6, 80
	return append(message, attributes...)
}

// Attributes may be in any order, and older kernels send fewer of them. The attributes
// here are little-endian.
func TestParseDualStack(t *testing.T) {
	t.Parallel()
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Fatal("this table is for little-endian machines")
	}
	mark := []byte{8, 0, 15, 0, 1, 2, 3, 4}
	for name, test := range map[string]struct {
		attributes []byte
		want       DualStack
	}{
		"none":       {nil, DualStackUnknown},
		"another":    {mark, DualStackUnknown},
		"yes":        {[]byte{5, 0, 11, 0, 0, 0, 0, 0}, DualStackYes},
		"no":         {[]byte{5, 0, 11, 0, 1, 0, 0, 0}, DualStackNo},
		"not padded": {[]byte{5, 0, 11, 0, 1}, DualStackNo},
		"second":     {append(slices.Clone(mark), 5, 0, 11, 0, 1, 0, 0, 0), DualStackNo},
		"empty":      {[]byte{4, 0, 11, 0}, DualStackUnknown},
		"size zero":  {[]byte{0, 0, 11, 0, 1, 0, 0, 0}, DualStackUnknown},
		"cut":        {[]byte{9, 0, 11, 0, 1}, DualStackUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := parse(messageOn(test.attributes...))
			assert.Check(t, is.Equal(got, Socket{Address: netip.MustParseAddrPort("[::]:80"), DualStack: test.want}))
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(messageOn())
	f.Add(messageOn(5, 0, 11, 0, 1, 0, 0, 0))
	f.Add(messageOn()[:messageSize-1])
	f.Fuzz(func(t *testing.T, message []byte) {
		if check(message) != nil {
			return
		}
		socket := parse(message)
		assert.Check(t, socket.Address.IsValid() && !socket.Address.Addr().Is4In6(), "%v", socket)
		assert.Check(t, is.Equal(socket.DualStack != "", socket.Address.Addr() == netip.IPv6Unspecified()), "%v", socket)
	})
}

// It reads the sockets of this machine.
func BenchmarkRead(b *testing.B) {
	for b.Loop() {
		_, err := Read()
		assert.NilError(b, err)
	}
}

// Only the sockets of some processes are listed. One that cannot be read may have any.
func TestReadOf(t *testing.T) {
	t.Parallel()
	ownNamespace(t)
	listen("tcp4", "127.0.0.1:80")(t)
	own, err := readOf([]string{"/proc/self", "/proc/0"}) // there is no process 0, as if it had ended
	assert.NilError(t, err)
	assert.Check(t, is.DeepEqual(texts(own.On(80)), []string{"127.0.0.1"}))
	none, err := readOf(nil)
	assert.NilError(t, err)
	assert.Check(t, none.None(80))

	unreadable := t.TempDir()
	assert.NilError(t, os.WriteFile(filepath.Join(unreadable, "fd"), nil, 0o600))
	_, err = readOf([]string{"/proc/self", unreadable})
	assert.ErrorContains(t, err, "reading which sockets a process has")
}

func TestOwner(t *testing.T) {
	t.Parallel()
	ownNamespace(t)
	listen("tcp4", "127.0.0.1:80")(t)
	name, pid := Owner(netip.MustParseAddrPort("127.0.0.1:80"))
	assert.Check(t, name != "")
	assert.Check(t, is.Equal(pid, os.Getpid()))
	name, _ = Owner(netip.MustParseAddrPort("127.0.0.1:81"))
	assert.Check(t, is.Equal(name, ""))
}
