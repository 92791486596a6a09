package keep

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
)

// serveNames answers DNS queries for the IPv4 addresses of a few names, and every
// other query with "no such name". With no name server at all, a failed
// lookup in a container takes 10 s.
func serveNames(addr string, names map[string]netip.Addr) (io.Closer, error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(ap))
	if err != nil {
		return nil, fmt.Errorf("answering DNS: %w", err)
	}
	go func() { // ends when the caller closes the socket
		packet := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(packet)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if answer := answerQuery(packet[:n], names); err == nil && answer != nil {
				_, _ = conn.WriteToUDPAddrPort(answer, from)
			}
		}
	}()
	return conn, nil
}

const (
	dnsHeader     = 12
	dnsNoSuchName = 3
	dnsTypeA      = 1
)

// answerQuery turns a query into its answer (RFC 1035, section 4.1): the same
// header and question, and an address if the name has one. A known name has no
// records of other types. Nil if it is not a query.
func answerQuery(query []byte, names map[string]netip.Addr) []byte {
	if len(query) < dnsHeader || query[2]&0x80 != 0 {
		return nil
	}
	name, end := questionName(query)
	end += 4 // type and class
	if end > len(query) {
		return nil
	}
	answer := append([]byte{}, query[:end]...)
	answer[2] |= 0x80 // it is a response
	answer[3] = 0x80  // recursion is available
	clear(answer[6:dnsHeader])
	address, known := names[name]
	switch {
	case !known:
		answer[3] |= dnsNoSuchName
	case query[end-4] == 0 && query[end-3] == dnsTypeA:
		answer[7] = 1
		answer = appendAddress(answer, address)
	}
	return answer
}

// questionName is the name in a query, in lower case, and the offset behind it.
func questionName(query []byte) (name string, end int) {
	var labels []string
	end = dnsHeader
	for end < len(query) && query[end] != 0 {
		next := end + int(query[end]) + 1
		if next > len(query) {
			return "", len(query)
		}
		labels = append(labels, string(query[end+1:next]))
		end = next
	}
	return strings.ToLower(strings.Join(labels, ".")), end + 1
}

// appendAddress appends an A record for the name of the question, good for a
// minute.
func appendAddress(answer []byte, address netip.Addr) []byte {
	answer = append(answer,
		0xc0, dnsHeader, // the name is the one at this offset
		0, dnsTypeA, 0, 1, // of the Internet
		0, 0, 0, 60,
		0, 4,
	)
	return append(answer, address.AsSlice()...)
}
