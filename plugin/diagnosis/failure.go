package diagnosis

import "github.com/nestprobe/docker-nestprobe/netprobe"

func refused(f netprobe.Failure) bool { return f == netprobe.Refused }

// dropped says whether no packet came back before the connection.
func dropped(f netprobe.Failure) bool {
	return f == netprobe.ConnectTimeout || f == netprobe.Unreachable
}

// silent says whether the connection was accepted, and nothing came over it.
func silent(f netprobe.Failure) bool { return f == netprobe.Silent || f == netprobe.NoResponse }

// Unanswered says whether nothing came back, with or without a connection.
func Unanswered(f netprobe.Failure) bool { return dropped(f) || f == netprobe.NoResponse }

// Unnamed says whether the name was not found.
func Unnamed(f netprobe.Failure) bool {
	return f == netprobe.NameNotFound || f == netprobe.NameTimeout
}

// closed says whether the connection was accepted, or begun, and closed with no
// answer.
func closed(f netprobe.Failure) bool {
	return f == netprobe.ClosedWithoutResponse || f == netprobe.Reset || f == netprobe.TLSClosed
}
