package diagnosis

import (
	"cmp"
	"slices"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// vantageCase is one vantage of an Input, and what the rules find there.
type vantageCase struct {
	evidence.Case
	vantages []facts.Vantage // all of the Input
	open     bool            // some row failed, and no rule says why

	typed      *evidence.Row // that of the address that the user has typed, if it failed
	typedFault *report.Fault // why; nil if no rule says it

	elsewhereReached bool // the server is reached from some vantage
}

// explainRows finds the cause of each failing row and writes it to the row's copy.
// It returns what it found in the order of the rows.
func (c *vantageCase) explainRows(copies []report.Probe) []*report.Fault {
	var faults []*report.Fault
	for _, r := range c.Rows {
		if r.OK {
			continue
		}
		fault := c.explainRow(r)
		typed := r.Address == c.Vantage.Typed && !c.MayLackNames(r)
		if typed {
			c.typed = &r
		}
		if fault == nil {
			c.open = c.open || typed || !c.NotExpected(r)
			continue
		}
		copies[r.Index].Cause, copies[r.Index].Hint = fault.Cause, netprobe.Visible(fault.Hint, report.MaxLine)
		copies[r.Index].NotExpected = find(fault.Cause).bySetting
		here := *fault
		here.Evidence = slices.Concat(fault.Evidence, c.ResolverSettings(r), []string{evidence.Observed(r.Probe)}) // what proves it, then where it shows
		faults = append(faults, &here)
		if typed {
			c.typedFault = &here
		}
	}
	return faults
}

// explainRow tries the rules in order. The first that holds has the row's cause.
func (c *vantageCase) explainRow(r evidence.Row) *report.Fault {
	if down := c.down(); down != nil {
		return down
	}
	if fault := c.secondAnswer(r); fault != nil {
		return fault
	}
	if answer := find(report.Cause(r.Failure)); answer.id != "" && answer.level != addressOnly {
		return cmp.Or(c.try(answer, r), answer.complete(&report.Fault{}))
	}
	for _, cause := range causeOrder() {
		if fault := c.try(cause, r); fault != nil {
			return fault
		}
	}
	return nil
}

// secondAnswer tries the rules that need a second answer.
func (c *vantageCase) secondAnswer(r evidence.Row) *report.Fault {
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

func (c *vantageCase) try(tried cause, r evidence.Row) *report.Fault {
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
func (c *vantageCase) down() *report.Fault { return cmp.Or(c.Server.Down, c.Vantage.Down) }

// ofEveryRow is what is wrong with all rows, of which there may be none.
func (c *vantageCase) ofEveryRow() *report.Fault {
	if down := c.down(); down != nil {
		return down
	}
	for _, cause := range causeOrder() {
		if !cause.everyRow {
			continue
		}
		if fault := c.try(cause, evidence.Row{}); fault != nil {
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
	case c.typed != nil && c.typedFault == nil && isAnswer(level):
		return c.ruledOut() // what another address answers is no answer of the one that was typed
	case c.typedFault != nil && (find(c.typedFault.Cause).level == level || isAnswer(find(c.typedFault.Cause).level) && isAnswer(level)):
		root = c.typedFault // what other addresses answer matters less
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

// isAnswer says whether a cause is about what comes back from an address.
func isAnswer(l level) bool { return l == transport || l == badAnswer }

// notAsTyped is what is wrong with the address that the user has typed, where another
// one works and no rule says why this one does not.
func (c *vantageCase) notAsTyped() *report.Fault {
	fault := &report.Fault{
		Title:    "The address does not lead to the server, and what was measured does not decide why",
		Evidence: []string{evidence.Observed(c.typed.Probe)},
	}
	for _, r := range c.Rows {
		if r.OK {
			suggest(fault, "use an address that works from there, such as %s", r.Address)
			break
		}
	}
	if unknown := c.Server.UnknownAddress; unknown.IsValid() {
		also(fault, "%s is no address of this machine or of a container that is known: unless a router forwards it, nobody has it", unknown)
	}
	if of := c.Server.NetworkOf; of != "" && evidence.Unnamed(c.typed.Failure) {
		also(fault, "%s shares the network of %s, and names on networks are only those of %[2]s", c.Server.Name, of)
	}
	fault.Evidence = appendNew(fault.Evidence, c.ResolverSettings(*c.typed))
	fault.Evidence = append(fault.Evidence, c.Vantage.Answerers...)
	return c.withRuledOut(fault)
}

// ruledOut says what was ruled out where the evidence does not decide the cause.
func (c *vantageCase) ruledOut() *report.Fault {
	fault := &report.Fault{
		Evidence: []string{},
		Hint:     "the rows above are all that was observed: probe from another container to narrow it down",
	}
	s := c.Server
	for _, r := range c.Rows {
		if c.NotExpected(r) {
			continue
		}
		fault.Evidence = appendNew(append(fault.Evidence, evidence.Observed(r.Probe)), c.ResolverSettings(r))
		if c.Engine.Loopback && !c.Engine.Desktop && !c.Vantage.Container && evidence.Refused(r.Failure) && r.Kind == report.KindPublishedLocalhost {
			fault.Hint = "the endpoint is a port of this machine's loopback: if it is one end of a tunnel, the engine publishes on the machine at the other end, so use the address of that machine"
		}
		if r.Failure == netprobe.StalledBody || r.Failure == netprobe.TruncatedBody {
			fault.Title = "The server's answer is not complete"
			fault.Hint = "the address is right: find in the server's log why the answer is not complete; if it is a stream, its Content-Type is to say so, such as text/event-stream or application/x-ndjson"
		}
		if evidence.Closed(r.Failure) && s.Serves() {
			fault.Hint = "the server listens, so the server itself seems to close connections: find the reason in its log"
		}
	}
	if len(s.PublishedBy) > 0 {
		also(fault, "the port is published by %s", evidence.Join(s.PublishedBy))
		fault.Hint, fault.Commands = "diagnose the container that publishes the port", command("docker nestprobe diagnose %s", s.PublishedBy[0])
	}
	if c.Unanswered() {
		also(fault, "packets from %s arrive at the server, and its answers do not come back", c.Vantage.Place())
		suggest(fault, "look at what the firewall of the engine's host does with the answers, and at the routes and the firewall in the container, which a VPN client there may have changed")
		fault.Commands = []string{"sudo iptables -S", "sudo nft list ruleset"}
	}
	for _, n := range s.Networks {
		if c.LostAddress(n.IPv4) {
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
		also(fault, "ruled out: the server listens on port %d at %s", s.Port, evidence.Join(s.Listeners.On(s.Port)))
	}
	if len(s.Bindings) > 0 {
		fault.Evidence = append(fault.Evidence, "ruled out: "+evidence.PublishedAt(s))
	}
	if shared := c.Vantage.SharedNetworks(s); len(shared) > 0 {
		fault.Evidence = append(fault.Evidence, "ruled out: both are on network "+shared[0].Name)
	}
	return fault
}
