package diagnosis

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// down: a server that is gone explains every row.
func (c *vantageCase) down(address, *report.Probe) *report.Fault {
	if c.Server.Down == nil {
		return nil
	}
	fault := *c.Server.Down
	return &fault
}

// answers are the causes that a server's own answer proves, and what to do.
var answers = map[netprobe.Failure]struct {
	cause report.Cause
	hint  string
}{
	netprobe.TLSOnPlainPort:      {TLSOnPlainPort, "the server speaks no TLS on this port: ask it with --scheme http, or turn its TLS on"},
	netprobe.TLSUntrusted:        {connection.TLSUntrusted, "add the certificate of the server's authority to those that this machine trusts; on Linux, SSL_CERT_FILE names a file of them"},
	netprobe.TLSHostnameMismatch: {connection.TLSHostnameMismatch, "use a name that the certificate has, or issue one for this address"},
	netprobe.TLSExpired:          {connection.TLSExpired, "renew the server's certificate, or set the clock"},
	netprobe.NotHTTP:             {NotHTTP, "the server speaks another protocol on this port: choose its HTTP port with --port, or ask with --scheme tcp"},
	netprobe.UnexpectedStatus:    {UnexpectedStatus, "the server is reached: choose a path that it serves with --path, or say with --expect-status which answer is good"},
	netprobe.UnexpectedBody:      {UnexpectedBody, "the server is reached, and says something else: choose another --path, or another text for --expect-body"},
	netprobe.WebSocketRefused:    {WebSocketRefused, "the server is reached over HTTP: say with --websocket at which path it takes WebSockets, or leave that out"},
	netprobe.WrongServer:         {WrongServer, "do not use this address: publish the port on a host address and port of its own"},
}

// said: the server was reached and answered with something else.
func (c *vantageCase) said(_ address, row *report.Probe) *report.Fault {
	answer, ok := answers[row.Failure]
	if !ok {
		return nil
	}
	return &report.Fault{Cause: answer.cause, Hint: answer.hint}
}

// noNetwork: one of the two has loopback alone.
func (c *vantageCase) noNetwork(address, *report.Probe) *report.Fault {
	switch {
	case c.Server.NoNetwork:
		return NoNetwork(c.Server.Name)
	case c.vantage.NoNetwork:
		return NoNetwork(c.vantage.Name)
	default:
		return nil
	}
}

// NoNetwork is the fault of a container on the network none.
func NoNetwork(name string) *report.Fault {
	return &report.Fault{
		Cause:    NetworkNone,
		Evidence: []string{fmt.Sprintf("container %s is on the network none, which has loopback alone", name)},
		Hint:     "leave out --network, or name one that has addresses",
	}
}

// localhostOfContainer: in a container, localhost leads to the container.
func (c *vantageCase) localhostOfContainer(_ address, row *report.Probe) *report.Fault {
	if !c.vantage.Container || row.Kind != report.KindPublishedLocalhost && row.Kind != report.KindPublishedAny {
		return nil
	}
	evidence := "the port is published at " + bindings(c.Server) + " of the engine's host"
	if c.Server.HostNetwork {
		evidence = "the server shares the network of the engine's host"
	}
	return &report.Fault{
		Cause:    LocalhostIsThisContainer,
		Evidence: []string{evidence},
		Hint:     "use an address of the server or of the engine's host: localhost is the container that asks",
	}
}

// listening: what the sockets of the server's network namespace say, where a
// connection came as far as to be refused or closed.
func (c *vantageCase) listening(to address, row *report.Probe) *report.Fault {
	s := c.Server
	if s.Listeners == nil || !refused(row) && !closed(row) {
		return nil
	}
	switch {
	case len(s.Listeners.On(s.Port)) == 0 && !s.Listeners.Truncated:
		if other := c.answeredElsewhere(row); s.Host && other != nil {
			return notThisHost(to, other)
		}
		return notOnPort(s)
	case s.Listeners.OnlyLoopback(s.Port) && s.Host:
		return onHostLoopback(s)
	case s.Listeners.OnlyLoopback(s.Port) && !s.HostNetwork: // there, loopback is the host's
		return &report.Fault{
			Cause:    ServerListensOnLoopback,
			Evidence: []string{fmt.Sprintf("in the container, port %d is listened to at %s alone", s.Port, join(s.Listeners.On(s.Port)))},
			Hint:     "have the server listen on 0.0.0.0 (or ::) inside its container: nobody outside of it reaches its loopback",
		}
	default:
		return c.notOnAddress(to, row)
	}
}

// notOnAddress: the server listens on its port, but not at each of its addresses.
func (c *vantageCase) notOnAddress(to address, row *report.Probe) *report.Fault {
	unserved := c.Server.Unserved()
	switch {
	case len(unserved) == 0:
		return nil
	case row.Kind == report.KindContainerIP:
		if !slices.ContainsFunc(unserved, func(n facts.Network) bool { return n.IPv4 == to.ip }) {
			return nil
		}
	case !published(row.Kind) || closed(row) || c.Engine.Rootless || c.Server.OnlyOnLoopback(to.port) || !publishes(c.Server, to.port):
		return nil // a gateway of a rootless engine refuses for a reason of its own
	}
	if slices.ContainsFunc(c.all, func(p report.Probe) bool { return published(p.Kind) && closed(&p) }) {
		return c.forwarder()
	}
	return &report.Fault{
		Cause:    ServerListensElsewhere,
		Evidence: []string{partly(c.Server, unserved)},
		Hint:     listenEverywhere,
	}
}

const listenEverywhere = "have the server listen on 0.0.0.0 (or ::), so that it serves every address of its container: the engine forwards to one of them"

// partly says which addresses of the container the server does not listen at.
func partly(s facts.Server, unserved []facts.Network) string {
	addresses := make([]string, len(unserved))
	for i, n := range unserved {
		addresses[i] = fmt.Sprintf("%s on network %s", n.IPv4, n.Name)
	}
	return fmt.Sprintf("in the container, port %d is listened to at %s, and not at its address %s",
		s.Port, join(s.Listeners.On(s.Port)), strings.Join(addresses, ", "))
}

// notOnPort is the fault of a server with no socket on its port.
func notOnPort(s facts.Server) *report.Fault {
	if s.Host {
		return notOnHost(s)
	}
	if elsewhere := s.Listeners.Elsewhere(s.Port); len(elsewhere) > 0 {
		fault := &report.Fault{
			Cause:    ServerListensElsewhere,
			Evidence: []string{fmt.Sprintf("in the container, nothing listens on port %d, but there are listeners at %s", s.Port, join(elsewhere))},
			Hint:     fmt.Sprintf("use the port that the server listens on (%d), or have it listen on %d", elsewhere[0].Port(), s.Port),
		}
		if len(s.Bindings) > 0 {
			fault.Commands = []string{fmt.Sprintf("docker run --publish %d:%d ...", s.Bindings[0].HostPort, elsewhere[0].Port())}
		}
		return fault
	}
	fault := &report.Fault{
		Cause:    ServerNotReady,
		Evidence: []string{fmt.Sprintf("the container runs, and nothing listens on port %d in it", s.Port)},
		Hint:     "give it more time, or see in its log what it is doing",
		Commands: []string{commandFor(s, "docker logs")},
	}
	fault.Evidence = append(fault.Evidence, s.Log...)
	if s.StartedByUs {
		fault.Hint = "give it more time with --wait; if that does not help, start it by hand and see in its log what it is doing"
		fault.Commands = nil
	}
	return fault
}

// toContainer: the way to the server's own address.
func (c *vantageCase) toContainer(to address, row *report.Probe) *report.Fault {
	if row.Kind == report.KindContainerName && c.vantage.Container {
		if shared := c.vantage.SharedNetworks(c.Server); len(shared) > 0 { // where the name was found
			return c.betweenContainers(shared[0], row)
		}
	}
	n, ok := c.Server.NetworkWith(to.ip)
	if row.Kind != report.KindContainerIP && row.Kind != report.KindDindHost || !ok || closed(row) {
		return nil
	}
	if c.vantage.Container {
		return c.betweenContainers(n, row)
	}
	if n.Layer2() {
		return c.beneath(n, row)
	}
	if place := c.elsewhere(n); place != "" {
		return &report.Fault{
			Cause:    ContainerNetworkRemote,
			Evidence: []string{fmt.Sprintf("network %s is %s", n.Name, place)},
			Hint:     "use the published port: this machine has no route to the addresses of containers there",
		}
	}
	return overlap(c.vantage, n, to.ip)
}

// beneath: the way from a machine to a container on the network of a parent
// interface. Only the parent's own machine is cut off from it, and of an engine
// behind a port of loopback nobody knows which that is.
func (c *vantageCase) beneath(n facts.Network, row *report.Probe) *report.Fault {
	place := c.elsewhere(n)
	switch {
	case !dropped(row) || c.answers(n):
		return nil
	case place != "":
		return &report.Fault{
			Cause:    ContainerNetworkRemote,
			Evidence: []string{fmt.Sprintf("network %s is %s", n.Name, place)},
			Hint:     "give the server a bridge network too, and publish its port: a network of the driver " + n.Driver + " publishes none",
		}
	case c.Engine.Loopback:
		return nil
	default:
		return c.macvlan(n)
	}
}

// answers says whether anything came back from one of the server's addresses on a
// network.
func (c *vantageCase) answers(n facts.Network) bool {
	return slices.ContainsFunc(c.rows, func(p *report.Probe) bool {
		return p.Kind == report.KindContainerIP && n.Has(parse(p.Address).ip) && !dropped(p) && p.Failure != netprobe.NotProbed
	})
}

// betweenContainers: the way from one container to another's address.
func (c *vantageCase) betweenContainers(n facts.Network, row *report.Probe) *report.Fault {
	if !dropped(row) {
		return nil
	}
	shared := slices.ContainsFunc(c.vantage.Networks, func(own facts.Network) bool { return own.Name == n.Name })
	switch {
	case shared && n.ICCDisabled:
		return &report.Fault{
			Cause:    ICCDisabled,
			Evidence: []string{fmt.Sprintf("network %s has com.docker.network.bridge.enable_icc=false", n.Name)},
			Hint:     "connect both to a network that lets its containers talk to one another, or use the published port",
			Commands: []string{"docker network create NETWORK", commandFor(c.Server, "docker network connect NETWORK")},
		}
	case shared:
		return nil
	case n.Layer2():
		return c.macvlan(n)
	case n.Internal:
		return c.internal(n)
	case c.vantage.OnlyInternal():
		return c.internal(c.vantage.Networks[0])
	case c.Engine.Major >= directRoutingSince && natted(n) && !c.vantage.LacksFamily(parse(row.Address).ip):
		return &report.Fault{
			Cause: DirectRoutingBlocked,
			Evidence: []string{
				c.apartFrom(n),
				fmt.Sprintf("Docker Engine %d drops what is routed to network %s from another one (gateway mode %s)", c.Engine.Major, n.Name, gatewayMode(n)),
			},
			Hint:     "connect both to one network" + c.orPublished(),
			Commands: c.connect(n),
		}
	default:
		return &report.Fault{
			Cause:    NetworksIsolated,
			Evidence: []string{c.apartFrom(n), "the engine keeps its bridges apart"},
			Hint:     "connect both to one network" + c.orPublished(),
			Commands: c.connect(n),
		}
	}
}

// apartFrom says that the vantage is not on a network of the server's.
func (c *vantageCase) apartFrom(n facts.Network) string {
	if len(c.vantage.SharedNetworks(c.Server)) > 0 {
		return fmt.Sprintf("%s is not on network %s", c.vantage.Place(), n.Name)
	}
	return c.vantage.Place() + " has no network in common with the server"
}

// orPublished is the other way between two networks, if it is not closed too.
func (c *vantageCase) orPublished() string {
	if len(c.Server.Bindings) == 0 {
		return ", or publish the port"
	}
	if slices.ContainsFunc(c.rows, func(p *report.Probe) bool { return p.OK && published(p.Kind) }) {
		return ", or use the published port"
	}
	return ""
}

// directRoutingSince is the version of Docker Engine from which packets that are
// routed to a container's address from another interface are dropped (Docker
// Engine 28 release notes; measured on 28.5.2).
const directRoutingSince = 28

// natted says whether a network's gateway mode is one that drops direct routing.
func natted(n facts.Network) bool { return n.GatewayMode == "" || n.GatewayMode == "nat" }

func gatewayMode(n facts.Network) string {
	if n.GatewayMode == "" {
		return "nat"
	}
	return n.GatewayMode
}

// connect is the command that gives both a network in common. To the default
// bridge a container is connected in vain where names matter.
func (c *vantageCase) connect(n facts.Network) []string {
	if n.Default {
		return []string{"docker network create NETWORK", commandFor(c.Server, "docker network connect NETWORK")}
	}
	asking, ok := strings.CutPrefix(c.vantage.Name, "container:")
	if !ok {
		asking = "CONTAINER"
	}
	return []string{fmt.Sprintf("docker network connect %s %s", n.Name, asking)}
}

func (c *vantageCase) macvlan(n facts.Network) *report.Fault {
	return &report.Fault{
		Cause:    MacvlanHostIsolation,
		Evidence: []string{fmt.Sprintf("network %s has the driver %s: the kernel passes nothing between its parent interface and the containers on it", n.Name, n.Driver)},
		Hint:     "ask from another machine or container on that network, or give the server a bridge network too",
		Commands: []string{"docker network create NETWORK", "docker network connect NETWORK " + c.Server.Name},
	}
}

func (c *vantageCase) internal(n facts.Network) *report.Fault {
	return &report.Fault{
		Cause:    NetworkInternal,
		Evidence: []string{fmt.Sprintf("network %s is internal: it is routed nowhere, and its containers publish no ports", n.Name)},
		Hint:     "ask from a container on that network, or connect the server to another one too",
		Commands: []string{commandFor(c.Server, "docker network connect NETWORK")},
	}
}

// overlap: the host sends what is for the container elsewhere.
func overlap(v facts.Vantage, n facts.Network, ip netip.Addr) *report.Fault {
	i := slices.IndexFunc(v.Routes, func(r facts.Route) bool { return r.To == ip && !r.Engine && r.Prefix.Bits() > 0 })
	if i < 0 {
		return nil
	}
	r := v.Routes[i]
	return &report.Fault{
		Cause: SubnetOverlapsRoute,
		Evidence: []string{
			fmt.Sprintf("this machine sends packets for %s to interface %s, not to the bridge of network %s", ip, r.Interface, n.Name),
			"the route that it takes is " + r.Prefix.String(),
		},
		Hint:     "give the network a subnet that no route of this machine covers",
		Commands: []string{"docker network create --subnet 10.123.0.0/24 NETWORK"},
	}
}

// byName: a lookup that found nothing.
func (c *vantageCase) byName(to address, row *report.Probe) *report.Fault {
	if !unnamed(row) {
		return nil
	}
	switch {
	case row.Kind == report.KindPublishedHostAlias, row.Kind == report.KindHostAlias:
		return &report.Fault{
			Cause:    HostAliasMissing,
			Hint:     "create the asking container with --add-host, or use the gateway of its network",
			Commands: []string{fmt.Sprintf("docker run --add-host %s:host-gateway ...", to.host)},
		}
	case row.Kind != report.KindContainerName && row.Kind != report.KindDindHost || !c.vantage.Container:
		return nil
	case c.vantage.OnlyDefaultBridge():
		return &report.Fault{
			Cause:    DefaultBridgeHasNoDNS,
			Evidence: []string{fmt.Sprintf("%s is on the default bridge alone, where names of containers are not looked up", c.vantage.Place())},
			Hint:     "connect both to a network of your own, or use the address",
			Commands: []string{"docker network create NETWORK"},
		}
	case len(c.vantage.SharedNetworks(c.Server)) == 0 && len(c.Server.Networks) > 0:
		return &report.Fault{
			Cause:    NetworksIsolated,
			Evidence: []string{fmt.Sprintf("%s has no network in common with the server, and names are known on a network alone", c.vantage.Place())},
			Hint:     "connect both to one network",
			Commands: c.connect(c.Server.Networks[0]),
		}
	default:
		return nil
	}
}

// elsewhere is where the network of a container is, if that is not on the machine
// that asks, or "". An engine in a VM does not always say so; but a bridge on this
// machine would have the network's gateway as its address.
func (c *vantageCase) elsewhere(n facts.Network) string {
	gateway := n.GatewayIPv4
	if !gateway.IsValid() { // it has IPv6 alone
		gateway = n.GatewayIPv6
	}
	switch {
	case c.vantage.Container:
		return ""
	case c.Engine.NetworksElsewhere():
		return c.Engine.Place()
	case n.Driver != "bridge" || !gateway.IsValid() || len(c.vantage.Addresses) == 0 || slices.Contains(c.vantage.Addresses, gateway):
		return ""
	default:
		return fmt.Sprintf("not on this machine, none of whose interfaces has its gateway %s", gateway)
	}
}

// command is a command that has the server's name in it, for a server that is
// still there to be named when somebody reads it.
func commandFor(s facts.Server, words string) string {
	if s.StartedByUs {
		return words + " CONTAINER"
	}
	return words + " " + s.Name
}
