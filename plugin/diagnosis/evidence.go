package diagnosis

import (
	"fmt"
	"strings"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// evidence says whether what a rule needs was measured.
type evidence func(*vantageCase) bool

// listeners are the sockets of the server's network namespace.
func listeners(c *vantageCase) bool { return c.Server.Listeners != nil }

// secondAnswers are those to probes in other ways.
func secondAnswers(c *vantageCase) bool { return len(c.vantage.Asked) > 0 }

// routes are those of this machine to the server's addresses.
func routes(c *vantageCase) bool { return len(c.vantage.Routes) > 0 }

// Observed is what a probe saw.
func Observed(p report.Probe) string {
	return fmt.Sprintf("from %s: %s (%s): %s", p.Vantage, p.Address, p.Kind, p.Detail)
}

// resolverSettings says how the user has set up the resolver of the vantage, if a row is
// about a name of the server that it did not find, or that led elsewhere.
func (c *vantageCase) resolverSettings(r row) []string {
	led := r.Failure == netprobe.WrongServer && r.Kind == report.KindContainerName
	if c.vantage.Resolver == "" || !led && !Unnamed(r.Failure) {
		return nil
	}
	return []string{fmt.Sprintf("%s was started with %s", c.vantage.Place(), c.vantage.Resolver)}
}

// publishedAt says at which addresses the port is published.
func publishedAt(s facts.Server) string { return "the port is published at " + join(s.Bindings) }

// onlyListeners says that no other socket listens on the port.
func onlyListeners(s facts.Server) string {
	on := s.Listeners.On(s.Port)
	switch {
	case len(on) > 1:
		return fmt.Sprintf("only %s listen on port %d", join(on), s.Port)
	case s.ListensOnlyOnIPv6():
		return fmt.Sprintf("only %s, which takes only IPv6, listens on port %d", join(on), s.Port)
	default:
		return fmt.Sprintf("only %s listens on port %d", join(on), s.Port)
	}
}

// listenersOn says which sockets listen on the port.
func listenersOn(s facts.Server) string {
	return fmt.Sprintf("port %d has listeners at %s", s.Port, join(s.Listeners.On(s.Port)))
}

// join lists addresses.
func join[T fmt.Stringer](all []T) string {
	text := make([]string, len(all))
	for i, a := range all {
		text[i] = a.String()
	}
	return strings.Join(text, ", ")
}

// networkCommand is a command that connects the server's container to a network. The engine
// refuses it for a container that shares the network of another one, so it names that.
func networkCommand(s facts.Server, network string) string {
	if s.NetworkOf != "" && !s.StartedByUs {
		return shell.Line("docker network connect %s %s", network, s.NetworkOf)
	}
	return shell.Line("docker network connect %s %s", network, nameFor(s))
}

// commandFor is a command on the server's container.
func commandFor(s facts.Server, words shell.Text) string {
	return shell.Line("%s %s", words, nameFor(s))
}

// nameFor is the name of the server's container for a command. A server that this run has
// started is gone when the command is read, so it is not named.
func nameFor(s facts.Server) string {
	if s.StartedByUs {
		return "CONTAINER"
	}
	return s.Name
}
