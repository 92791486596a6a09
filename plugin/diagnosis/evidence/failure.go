package evidence

import "github.com/nestprobe/docker-nestprobe/netprobe"

// Refused says whether the connection was refused.
func Refused(f netprobe.Failure) bool { return f == netprobe.Refused }

// Dropped says whether no packet came back before the connection.
func Dropped(f netprobe.Failure) bool {
	return f == netprobe.ConnectTimeout || f == netprobe.Unreachable
}

// Silent says whether the connection was accepted, and nothing came over it.
func Silent(f netprobe.Failure) bool { return f == netprobe.Silent || f == netprobe.NoResponse }

// Unanswered says whether nothing came back, with or without a connection.
func Unanswered(f netprobe.Failure) bool { return Dropped(f) || f == netprobe.NoResponse }

// Unnamed says whether the name was not found.
func Unnamed(f netprobe.Failure) bool {
	return f == netprobe.NameNotFound || f == netprobe.NameTimeout
}

// Closed says whether the connection was accepted, or begun, and closed with no
// answer.
func Closed(f netprobe.Failure) bool {
	return f == netprobe.ClosedWithoutResponse || f == netprobe.Reset || f == netprobe.TLSClosed
}
