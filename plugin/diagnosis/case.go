package diagnosis

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// vantageCase is one vantage of an Input, and what was observed from it.
type vantageCase struct {
	Input
	vantage facts.Vantage
	rows    []row          // from this vantage
	all     []report.Probe // from every vantage
	open    bool           // some row failed, and no rule says why

	typed      *row          // that of the address that the user has typed, if it failed
	typedFault *report.Fault // why; nil if no rule says it

	elsewhereReached bool // the server is reached from some vantage
}

// row is a probe, and the host and port of its address.
type row struct {
	report.Probe
	to    address
	index int // among all probes
}

// address is host and port of a row; ip is not valid for a name.
type address struct {
	host string
	ip   netip.Addr
	port uint16
}

func parse(hostport string) address {
	host, text, _ := net.SplitHostPort(hostport)
	port, _ := strconv.ParseUint(text, 10, 16)
	ip, _ := netip.ParseAddr(host)
	return address{host, ip, uint16(port)}
}

func newVantageCase(in Input, v facts.Vantage, probes []report.Probe) *vantageCase {
	c := &vantageCase{Input: in, vantage: v, all: probes}
	for i, p := range probes {
		if p.Vantage == v.Name {
			c.rows = append(c.rows, row{p, parse(p.Address), i})
		}
	}
	return c
}

// serverReached is false for a server that cannot answer: what answered was another one.
func (c *vantageCase) serverReached() bool {
	return c.Server.Down == nil && slices.ContainsFunc(c.rows, func(r row) bool { return r.OK })
}

// explainRows finds the cause of each failing row and writes it to the row's copy.
// It returns what it found in the order of the rows.
func (c *vantageCase) explainRows(copies []report.Probe) []*report.Fault {
	var faults []*report.Fault
	for _, r := range c.rows {
		if r.OK {
			continue
		}
		fault := c.explainRow(r)
		typed := r.Address == c.vantage.Typed && !c.mayLackNames(r)
		if typed {
			c.typed = &r
		}
		if fault == nil {
			c.open = c.open || typed || !c.notExpected(r)
			continue
		}
		copies[r.index].Cause, copies[r.index].Hint = fault.Cause, netprobe.Visible(fault.Hint, report.MaxLine)
		copies[r.index].NotExpected = find(fault.Cause).bySetting
		here := *fault
		here.Evidence = slices.Concat(fault.Evidence, c.resolverSettings(r), []string{Observed(r.Probe)}) // what proves it, then where it shows
		faults = append(faults, &here)
		if typed {
			c.typedFault = &here
		}
	}
	return faults
}

// explainRow tries the rules in order. The first that holds has the row's cause.
func (c *vantageCase) explainRow(r row) *report.Fault {
	if down := c.down(); down != nil {
		return down
	}
	if fault := c.secondAnswer(r); fault != nil {
		return fault
	}
	if answer := find(report.Cause(r.Failure)); answer.id != "" && (answer.rule == nil || answer.second) {
		return answer.complete(&report.Fault{})
	}
	for _, cause := range causeOrder() {
		if fault := c.try(cause, r); fault != nil {
			return fault
		}
	}
	return nil
}

// secondAnswer tries the rules that need a second answer.
func (c *vantageCase) secondAnswer(r row) *report.Fault {
	for _, cause := range causeOrder() {
		if !cause.second {
			continue
		}
		if fault := c.try(cause, r); fault != nil {
			return fault
		}
	}
	return nil
}

func (c *vantageCase) try(tried cause, r row) *report.Fault {
	if tried.rule == nil || tried.needs != nil && !tried.needs(c) {
		return nil
	}
	return tried.complete(tried.rule(c, r))
}

// explainVantage tries the rules about the vantage.
func (c *vantageCase) explainVantage() []*report.Fault {
	var faults []*report.Fault
	for _, cause := range causeOrder() {
		if cause.vantage == nil {
			continue
		}
		if fault := cause.complete(cause.vantage(c)); fault != nil {
			faults = append(faults, fault)
		}
	}
	return faults
}

// down is why no address can work from the vantage, such as that the server does not run.
func (c *vantageCase) down() *report.Fault { return cmp.Or(c.Server.Down, c.vantage.Down) }

// ofEveryRow is what is wrong with all rows, of which there may be none.
func (c *vantageCase) ofEveryRow() *report.Fault {
	if down := c.down(); down != nil {
		return down
	}
	for _, cause := range causeOrder() {
		if !cause.everyRow {
			continue
		}
		if fault := c.try(cause, row{}); fault != nil {
			return fault
		}
	}
	return nil
}

// root is what is wrong with a vantage from which no address works: the first of its
// faults in the order of causes, with the evidence of all that have its cause.
func (c *vantageCase) root(faults []*report.Fault) *report.Fault {
	if fault := c.ofEveryRow(); fault != nil {
		return fault
	}
	if len(faults) == 0 {
		return c.ruledOut()
	}
	rank := func(fault *report.Fault) int {
		return slices.IndexFunc(causeOrder(), func(c cause) bool { return c.id == fault.Cause })
	}
	root := slices.MinFunc(faults, func(a, b *report.Fault) int { return rank(a) - rank(b) })
	level := find(root.Cause).level
	switch {
	case c.open && level == addressOnly:
		return c.ruledOut() // a better address fails too, and why is not known
	case c.typed != nil && c.typedFault == nil && (level == transport || level == badAnswer):
		return c.ruledOut() // what another address answers is no answer of the one that was typed
	case c.typedFault != nil && find(c.typedFault.Cause).level == level:
		root = c.typedFault
	}
	whole := *root
	whole.Evidence = slices.Clone(root.Evidence)
	for _, fault := range faults {
		if fault.Cause == root.Cause {
			whole.Evidence = appendNew(whole.Evidence, fault.Evidence)
		}
	}
	return &whole
}

// mayLackNames says whether the name of a container was not found on an engine that may
// have no DNS for names: Podman without aardvark-dns, or on a network without DNS.
func (c *vantageCase) mayLackNames(r row) bool {
	return c.Engine.Podman && Unnamed(r.Failure) && r.Kind == report.KindContainerName
}

// notAsTyped is what is wrong with the address that the user has typed, where another
// one works and no rule says why this one does not.
func (c *vantageCase) notAsTyped() *report.Fault {
	fault := &report.Fault{
		Title:    "The address does not lead to the server, and what was measured does not decide why",
		Evidence: []string{Observed(c.typed.Probe)},
	}
	for _, r := range c.rows {
		if r.OK {
			suggest(fault, "use an address that works from there, such as %s", r.Address)
			break
		}
	}
	fault.Evidence = appendNew(fault.Evidence, c.resolverSettings(*c.typed))
	fault.Evidence = append(fault.Evidence, c.vantage.Answerers...)
	return c.withRuledOut(fault)
}

// ruledOut says what was ruled out where the evidence does not decide the cause.
func (c *vantageCase) ruledOut() *report.Fault {
	fault := &report.Fault{
		Evidence: []string{},
		Hint:     "the rows above are all that was observed: probe from another container to narrow it down",
	}
	s := c.Server
	for _, r := range c.rows {
		if c.notExpected(r) {
			continue
		}
		fault.Evidence = appendNew(append(fault.Evidence, Observed(r.Probe)), c.resolverSettings(r))
		if c.Engine.Loopback && !c.Engine.Desktop && !c.vantage.Container && refused(r.Failure) && r.Kind == report.KindPublishedLocalhost {
			fault.Hint = "the endpoint is a port of this machine's loopback: if it is one end of a tunnel, the engine publishes on the machine at the other end, so use the address of that machine"
		}
		if r.Failure == netprobe.StalledBody || r.Failure == netprobe.TruncatedBody {
			fault.Title = "The server's answer is not complete"
			fault.Hint = "the address is right: find in the server's log why the answer is not complete; if it is a stream, its Content-Type is to be text/event-stream"
		}
		if closed(r.Failure) && s.Serves() {
			fault.Hint = "the server listens, so the server itself seems to close connections: find the reason in its log"
		}
	}
	if len(s.PublishedBy) > 0 {
		also(fault, "the port is published by %s", join(s.PublishedBy))
		fault.Hint, fault.Commands = "diagnose the container that publishes the port", command("docker nestprobe diagnose %s", s.PublishedBy[0])
	}
	if c.unanswered() {
		also(fault, "packets from %s arrive at the server, and its answers do not come back", c.vantage.Place())
		suggest(fault, "look at what the firewall of the engine's host does with the answers, and at the routes and the firewall in the container, which a VPN client there may have changed")
		fault.Commands = []string{"sudo iptables -S", "sudo nft list ruleset"}
	}
	for _, n := range s.Networks {
		if c.lostAddress(n.IPv4) {
			also(fault, "the container has no address %s, which the engine says it has on network %s: an interface is down, or a program in it has changed the address", n.IPv4, n.Name)
			fault.Hint, fault.Commands = "restart the container, which gives it its address again", []string{commandFor(s, "docker restart")}
		}
	}
	return c.withRuledOut(fault)
}

// withRuledOut adds what is in order to the evidence of a fault whose cause is not known.
func (c *vantageCase) withRuledOut(fault *report.Fault) *report.Fault {
	s := c.Server
	if s.Listeners != nil && len(s.Listeners.On(s.Port)) > 0 {
		also(fault, "ruled out: the server listens on port %d at %s", s.Port, join(s.Listeners.On(s.Port)))
	}
	if len(s.Bindings) > 0 {
		fault.Evidence = append(fault.Evidence, "ruled out: "+publishedAt(s))
	}
	if shared := c.vantage.SharedNetworks(s); len(shared) > 0 {
		fault.Evidence = append(fault.Evidence, "ruled out: both are on network "+shared[0].Name)
	}
	return fault
}
