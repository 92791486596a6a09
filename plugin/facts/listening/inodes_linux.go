package listening

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Inodes returns the inodes of the TCP sockets that listen for connections to an address,
// in the network namespace of the calling thread. /proc/PID/fd shows which process has a
// socket. After an error none is known.
func Inodes(address netip.AddrPort) ([]uint64, error) {
	var inodes []uint64
	err := request(unix.IPPROTO_TCP, 1<<stateListen, address.Port(), func(message []byte) bool {
		if parse(message).serves(address.Addr().Unmap()) {
			inodes = append(inodes, uint64(binary.NativeEndian.Uint32(message[68:])))
		}
		return true
	})
	return inodes, err
}
