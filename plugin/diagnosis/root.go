package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// depth orders causes from root to consequence. Of those that the rows of one
// vantage have, the first is what is wrong, and the others follow from it or would
// not help if they were mended alone: what the server does comes before what the
// network's settings say, which come before what an address is.
var depth = []report.Cause{
	ServerExited,
	ImageWrongPlatform,
	NetworkNone,
	ServerListensOnLoopback,
	ServerListensElsewhere,
	ServerNotReady,
	HostListensOnLoopback,

	MTUBlackhole,
	TLSOnPlainPort,
	connection.TLSExpired,
	connection.TLSUntrusted, // before the names: Go looks at those first, so a good name has shown it
	connection.TLSHostnameMismatch,
	NotHTTP,
	UnexpectedStatus,
	UnexpectedBody,
	WebSocketRefused,

	NetworkHostMode,
	NetworkInternal,
	MacvlanHostIsolation,
	ICCDisabled,
	PublishedOnLoopback,
	SubnetOverlapsRoute,
	FirewallDrops,
	PortNotPublished,
	ForwarderAcceptsAlone,
	DirectRoutingBlocked,
	NetworksIsolated,
	PublishedFamilyMismatch,
	PublishedOnRemoteHost,
	ContainerNetworkRemote,
	DefaultBridgeHasNoDNS,
	HostAliasUnreachable,
	HostAliasMissing,
	LocalhostIsThisContainer,
	WrongServer,
}

// ofAddress are causes that say of an address that it is not the one to use. They
// leave open why the others fail.
var ofAddress = []report.Cause{
	PublishedFamilyMismatch,
	PublishedOnRemoteHost,
	ContainerNetworkRemote,
	DefaultBridgeHasNoDNS,
	HostAliasUnreachable,
	HostAliasMissing,
	LocalhostIsThisContainer,
	WrongServer,
}

// root is what is wrong with a vantage that reaches the server at no address.
func (c *vantageCase) root(faults []*report.Fault) *report.Fault {
	for _, always := range []rule{(*vantageCase).down, (*vantageCase).noNetwork} { // there may be no row
		if fault := always(c, address{}, nil); fault != nil {
			return fault
		}
	}
	if fault := c.unpublished(); fault != nil {
		faults = append(faults, fault)
	}
	if len(faults) == 0 {
		return c.undecided()
	}
	root := *slices.MinFunc(faults, func(a, b *report.Fault) int { return slices.Index(depth, a.Cause) - slices.Index(depth, b.Cause) })
	if slices.Contains(ofAddress, root.Cause) && slices.ContainsFunc(c.rows, func(p *report.Probe) bool { return p.Cause == "" }) {
		return c.undecided() // a better address fails too, and who knows why
	}
	root.Evidence = nil
	for _, fault := range faults { // the rows that show the same
		if fault.Cause == root.Cause {
			root.Evidence = appendNew(root.Evidence, fault.Evidence)
		}
	}
	return &root
}

// unpublished says that the port is not published, where an address of the
// engine's host is what it would take.
func (c *vantageCase) unpublished() *report.Fault {
	s := c.Server
	if len(s.Bindings) > 0 || s.HostNetwork {
		return nil
	}
	if c.vantage.Container && len(c.vantage.SharedNetworks(s)) > 0 {
		return nil // its own address is what it takes
	}
	if fault := c.ignored(); fault != nil || c.vantage.Container {
		return fault // to another container, a network in common is worth more than a port
	}
	if s.OnlyLayer2() {
		return nil // no port is published there: its own address is what it takes
	}
	fault := &report.Fault{
		Cause:    PortNotPublished,
		Evidence: []string{fmt.Sprintf("port %d of container %s has no binding on the engine's host", s.Port, s.Name)},
		Hint:     fmt.Sprintf("create the container with --publish %d", s.Port),
		Commands: []string{fmt.Sprintf("docker run --publish %d ...", s.Port)},
	}
	for _, n := range s.Networks {
		if place := c.elsewhere(n); place != "" {
			fault.Evidence = append(fault.Evidence, fmt.Sprintf("its address on network %s is %s", n.Name, place))
		}
	}
	return fault
}

// ignored says why the engine has published nothing although it was asked to.
func (c *vantageCase) ignored() *report.Fault {
	s := c.Server
	if !s.PublishRequested || len(s.Bindings) > 0 || s.NoNetwork {
		return nil
	}
	if s.HostNetwork {
		return c.hostMode()
	}
	for _, n := range s.Networks {
		if n.Internal {
			return c.internal(n)
		}
	}
	return nil
}

// undecided says what was ruled out where the evidence does not tell the cause.
func (c *vantageCase) undecided() *report.Fault {
	fault := &report.Fault{
		Evidence: []string{},
		Hint:     "the rows above are all that was observed; ask from another place with docker nestprobe diagnose --from to narrow it down",
	}
	s := c.Server
	for _, row := range c.rows {
		fault.Evidence = append(fault.Evidence, seen(row))
		if c.Engine.Loopback && !c.Engine.Desktop && !c.vantage.Container && refused(row) && row.Kind == report.KindPublishedLocalhost {
			fault.Hint = "the endpoint is a port of this machine's loopback: if it is one end of a tunnel, the engine publishes on the machine at the other end, so use that one's address"
		}
		if closed(row) && s.Serves() {
			fault.Hint = "the server listens, so it seems to be the server itself that closes connections: see in its log why"
		}
	}
	if s.Listeners != nil && len(s.Listeners.On(s.Port)) > 0 {
		fault.Evidence = append(fault.Evidence, fmt.Sprintf("ruled out: the server listens on port %d at %s", s.Port, join(s.Listeners.On(s.Port))))
	}
	if len(s.Bindings) > 0 {
		fault.Evidence = append(fault.Evidence, "ruled out: the port is published at "+bindings(s))
	}
	if shared := c.vantage.SharedNetworks(s); len(shared) > 0 {
		fault.Evidence = append(fault.Evidence, "ruled out: both are on network "+shared[0].Name)
	}
	return fault
}

// join lists addresses.
func join[T fmt.Stringer](all []T) string {
	text := make([]string, len(all))
	for i, a := range all {
		text[i] = a.String()
	}
	return strings.Join(text, ", ")
}

// published lists the bindings.
func bindings(s facts.Server) string {
	text := make([]string, len(s.Bindings))
	for i, b := range s.Bindings {
		text[i] = b.String()
	}
	return strings.Join(text, ", ")
}
