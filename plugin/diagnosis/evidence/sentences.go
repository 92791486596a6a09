package evidence

import (
	"fmt"
	"strings"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Observed is what a probe saw.
func Observed(p report.Probe) string {
	return fmt.Sprintf("from %s: %s (%s): %s", p.Vantage, p.Address, p.Kind, p.Detail)
}

// ResolverSettings says how the user has set up the resolver of the vantage, if a row is
// about a name of the server that it did not find, or that led elsewhere.
func (c *Case) ResolverSettings(r Row) []string {
	led := r.Failure == netprobe.WrongServer && r.Kind == report.KindContainerName
	if c.Vantage.Resolver == "" || !led && !Unnamed(r.Failure) {
		return nil
	}
	return []string{fmt.Sprintf("%s was started with %s", c.Vantage.Place(), c.Vantage.Resolver)}
}

// PublishedAt says at which addresses the port is published.
func PublishedAt(s facts.Server) string { return "the port is published at " + Join(s.Bindings) }

// OnlyListeners says that no other socket listens on the port.
func OnlyListeners(s facts.Server) string {
	on := s.Listeners.On(s.Port)
	switch {
	case len(on) > 1:
		return fmt.Sprintf("only %s listen on port %d", Join(on), s.Port)
	case s.ListensOnlyOnIPv6():
		return fmt.Sprintf("only %s, which takes only IPv6, listens on port %d", Join(on), s.Port)
	default:
		return fmt.Sprintf("only %s listens on port %d", Join(on), s.Port)
	}
}

// ListenersOn says which sockets listen on the port.
func ListenersOn(s facts.Server) string {
	return fmt.Sprintf("port %d has listeners at %s", s.Port, Join(s.Listeners.On(s.Port)))
}

// Join lists addresses.
func Join[T fmt.Stringer](all []T) string {
	text := make([]string, len(all))
	for i, a := range all {
		text[i] = a.String()
	}
	return strings.Join(text, ", ")
}

// UnservedAddresses says at which addresses of its container the server does not
// listen.
func UnservedAddresses(s facts.Server) string {
	unserved := s.Unserved()
	addresses := make([]string, len(unserved))
	for i, n := range unserved {
		addresses[i] = fmt.Sprintf("%s on network %s", n.IPv4, n.Name)
	}
	return fmt.Sprintf("in the container, %s, and nothing at its address %s", OnlyListeners(s), strings.Join(addresses, ", "))
}
