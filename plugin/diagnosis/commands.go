package diagnosis

import (
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// notCommon is the fault of a server's network that the vantage is not on, with what
// follows from that.
func (c *vantageCase) notCommon(n facts.Network, consequence string, args ...any) *report.Fault {
	fault := &report.Fault{Evidence: []string{c.NoCommonNetwork()}, Hint: connectBoth + c.orPublished(), Commands: c.connectCommands(c.networkToJoin(n))}
	also(fault, consequence, args...)
	return fault
}

// orPublished adds to a hint the published port as another way, if it was seen to work from
// the vantage.
func (c *vantageCase) orPublished() string {
	if slices.ContainsFunc(c.Rows, func(r evidence.Row) bool { return r.OK && evidence.IsPublished(r.Kind) }) {
		return ", or use the published port"
	}
	return ""
}

// networkToJoin returns the server's network on which a client reaches it by name and
// which is not internal, or n if it has none.
func (c *vantageCase) networkToJoin(n facts.Network) facts.Network {
	i := slices.IndexFunc(c.Server.Networks, func(own facts.Network) bool {
		return !own.Internal && !own.Default && !own.Layer2() && !own.ICCDisabled
	})
	if i < 0 {
		return n
	}
	return c.Server.Networks[i]
}

const (
	connectBoth   = "connect both to one network"
	createNetwork = "docker network create NETWORK"
)

// connectCommands give both a network in common. The default bridge is not suggested,
// since it has no names.
func (c *vantageCase) connectCommands(n facts.Network) []string {
	if n.Default {
		return c.newNetworkCommands()
	}
	return command("docker network connect %s %s", n.Name, c.clientName())
}

// newNetworkCommands connect server and client to a new network. A client on the network of
// the engine's host cannot be connected to one.
func (c *vantageCase) newNetworkCommands() []string {
	server := networkCommand(c.Server, "NETWORK")
	client := shell.Line("docker network connect NETWORK %s", c.clientName())
	if !c.Vantage.Container || c.Vantage.OnHost || client == server {
		return []string{createNetwork, server}
	}
	return []string{createNetwork, server, client}
}

// clientName is the name of the container that the probes come from, for a command on its
// networks: the engine refuses one that shares the network of another container.
func (c *vantageCase) clientName() string {
	if c.Vantage.NetworkOf != "" {
		return c.Vantage.NetworkOf
	}
	if name, ok := strings.CutPrefix(c.Vantage.Name, "container:"); ok {
		return name
	}
	return "CONTAINER"
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

// everywhere is what to do about a server that does not listen on all of its addresses.
func everywhere(s facts.Server) string {
	if s.ListensOnlyOnIPv6() {
		return "have the server listen on 0.0.0.0 too, or on [::] for both: it has limited its socket to IPv6 (IPV6_V6ONLY)"
	}
	return listenEverywhere
}

const listenEverywhere = "have the server listen on 0.0.0.0, so that it serves every address of its container: the engine forwards to one of them"
