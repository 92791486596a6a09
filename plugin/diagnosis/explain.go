package diagnosis

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Facts are what is known of one server and of the places it was asked from,
// besides what the probes observed. [Explain] draws on them.
type Input struct {
	Engine   facts.Engine
	Server   facts.Server
	Vantages []facts.Vantage
}

// Explain says why the probes of one server failed. It fills in the Cause and
// Hint of each failing one whose cause the facts decide, and returns findings: for
// a vantage that reaches the server at no address the root cause as an error, or
// what was ruled out; for one that does reach it what is wrong with the other
// addresses, for information. What merely follows from a root cause is no finding.
func Explain(f Input, probes []report.Probe) []report.Finding {
	found := findings{list: []report.Finding{}} // not nil, which is null in JSON
	for _, v := range f.Vantages {
		c := &vantageCase{Input: f, vantage: v, rows: probesFrom(v, probes), all: probes}
		faults := c.explainRows()
		if !c.reached() {
			found.add(c.root(faults), severityOfFailure(v))
			continue
		}
		for _, fault := range faults {
			found.add(fault, severityWhenReached(fault.Cause))
		}
		found.add(c.ignored(), report.SeverityInfo)
	}
	return found.list
}

// Merge makes one list of several: findings of one cause become one, as bad as the
// worst of them, with the evidence of all.
func Merge(lists ...[]report.Finding) []report.Finding {
	merged := findings{list: []report.Finding{}}
	for _, finding := range slices.Concat(lists...) {
		merged.merge(finding)
	}
	return merged.list
}

// severityWhenReached is that of a cause that leaves another address working. An
// address that leads to a stranger is a trap; the others merely fail.
func severityWhenReached(cause report.Cause) report.Severity {
	if cause == WrongServer {
		return report.SeverityWarning
	}
	return report.SeverityInfo
}

func severityOfFailure(v facts.Vantage) report.Severity {
	if v.Optional {
		return report.SeverityWarning
	}
	return report.SeverityError
}

// findings collects findings, those of one cause as one.
type findings struct {
	list []report.Finding
}

func (l *findings) add(fault *report.Fault, severity report.Severity) {
	if fault == nil {
		return
	}
	finding := Finding(fault)
	finding.Severity = severity
	l.merge(finding)
}

// maxEvidence bounds the lines of one finding: enough for every address of some
// servers.
const maxEvidence = 24

func (l *findings) merge(added report.Finding) {
	i := slices.IndexFunc(l.list, func(f report.Finding) bool { return f.Cause == added.Cause })
	if i < 0 {
		l.list = append(l.list, added)
		return
	}
	known := &l.list[i]
	if weight(added.Severity) > weight(known.Severity) {
		known.Severity, known.Hint, known.Commands = added.Severity, added.Hint, added.Commands
	}
	known.Evidence = appendNew(known.Evidence, added.Evidence)
}

// appendNew adds the lines that are not there yet, as far as there is room.
func appendNew(evidence, lines []string) []string {
	for _, line := range lines {
		if !slices.Contains(evidence, line) && len(evidence) < maxEvidence {
			evidence = append(evidence, line)
		}
	}
	return evidence
}

func weight(s report.Severity) int {
	return slices.Index([]report.Severity{report.SeverityInfo, report.SeverityWarning, report.SeverityError}, s)
}

// contextOf is one vantage of the Facts, and what was observed from it.
type vantageCase struct {
	Input
	vantage facts.Vantage
	rows    []*report.Probe // from this vantage
	all     []report.Probe  // from every one
}

func (c *vantageCase) reached() bool {
	return slices.ContainsFunc(c.rows, func(p *report.Probe) bool { return p.OK })
}

// explainRows finds the cause of each failing row, and returns what it found in
// the order of the rows.
func (c *vantageCase) explainRows() []*report.Fault {
	var faults []*report.Fault
	for _, row := range c.rows {
		if row.OK {
			continue
		}
		fault := c.explain(row)
		if fault == nil {
			continue
		}
		row.Cause, row.Hint = fault.Cause, netprobe.Visible(fault.Hint, report.MaxLine)
		fault.Evidence = append(slices.Clone(fault.Evidence), seen(row)) // what proves it, then what it shows in
		faults = append(faults, fault)
	}
	return faults
}

// seen is what was observed of a row, as evidence.
func seen(p *report.Probe) string {
	return fmt.Sprintf("from %s: %s (%s): %s", p.Vantage, p.Address, p.Kind, p.Detail)
}

// rule finds the cause of a failing row, or nil if it is not what the rule is
// about.
type rule func(*vantageCase, address, *report.Probe) *report.Fault

// rules are asked in order, and the first that knows is believed: what the server
// itself did and said before what the way to it may have done.
var rules = []rule{
	(*vantageCase).down,
	(*vantageCase).said,
	(*vantageCase).stalled,
	(*vantageCase).noNetwork,
	(*vantageCase).localhostOfContainer,
	(*vantageCase).listening,
	(*vantageCase).toContainer,
	(*vantageCase).byName,
	(*vantageCase).published,
	(*vantageCase).toHost,
}

func (c *vantageCase) explain(row *report.Probe) *report.Fault {
	where := parse(row.Address)
	for _, rule := range rules {
		if fault := rule(c, where, row); fault != nil {
			return fault
		}
	}
	return nil
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

// How far a failing probe came.
func refused(p *report.Probe) bool { return p.Failure == netprobe.Refused }

// dropped says whether nothing came back at all.
func dropped(p *report.Probe) bool {
	return p.Failure == netprobe.ConnectTimeout || p.Failure == netprobe.Unreachable
}

// unnamed says whether the name was not found.
func unnamed(p *report.Probe) bool {
	return p.Failure == netprobe.NameNotFound || p.Failure == netprobe.NameTimeout
}

// closed says whether the connection was accepted, or begun, and closed with no
// answer.
func closed(p *report.Probe) bool {
	switch p.Failure {
	case netprobe.ClosedWithoutResponse, netprobe.Reset, netprobe.TLSClosed:
		return true
	default:
		return false
	}
}

// of returns the probes from a vantage.
func probesFrom(v facts.Vantage, probes []report.Probe) []*report.Probe {
	var own []*report.Probe
	for i := range probes {
		if probes[i].Vantage == v.Name {
			own = append(own, &probes[i])
		}
	}
	return own
}
