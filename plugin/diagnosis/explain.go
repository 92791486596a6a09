package diagnosis

import (
	"cmp"
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Input is what is known of one server and of the places it was probed from, besides
// what the probes observed.
type Input struct {
	Engine   facts.Engine
	Server   facts.Server
	Vantages []facts.Vantage
}

// Result is what is wrong. Its probes are those that were explained, in their order,
// with the Cause and Hint of each failing one whose cause the facts decide.
type Result struct {
	Findings []report.Finding
	Probes   []report.Probe
}

// Explain finds out why the probes of one server failed. For a vantage from which no
// address works, a finding is the root cause as an error, or what was ruled out. For
// one from which an address works, findings say what is wrong with the others, for
// information. What only follows from a root cause is no finding.
func Explain(in Input, probes []report.Probe) Result {
	result := Result{Probes: slices.Clone(probes)}
	reached := slices.ContainsFunc(probes, func(p report.Probe) bool { return p.OK }) && in.Server.Down == nil
	var found []report.Finding
	for _, v := range in.Vantages {
		c := &vantageCase{Case: evidence.NewCase(in.Engine, in.Server, v, probes), vantages: in.Vantages, elsewhereReached: reached}
		for _, fault := range c.faults(result.Probes) {
			found = append(found, c.finding(fault))
		}
	}
	result.Findings = Merge(found)
	return result
}

// faults returns what is wrong at the vantage: the root cause if no address works from it, else
// what is wrong with each. The causes of rows are written to their copies.
func (c *vantageCase) faults(copies []report.Probe) []*report.Fault {
	faults := append(c.explainRows(copies), c.explainVantage()...)
	if !c.ServerReached() {
		return []*report.Fault{c.root(faults)}
	}
	if c.typed != nil && c.typedFault == nil {
		c.typedFault = c.notAsTyped()
		faults = append(faults, c.typedFault)
	}
	return faults
}

// finding is the finding of a fault: an error, unless another address works from the
// vantage and this one is not what the user has typed, or the vantage need not reach the
// server. It is a warning if the name of a container does not work, and another address does.
func (c *vantageCase) finding(fault *report.Fault) report.Finding {
	finding := Finding(fault)
	switch {
	case !c.ServerReached() && c.mayFail():
		finding.Severity = report.SeverityInfo
	case c.ServerReached() && fault == c.typedFault && c.typed.Kind == report.KindContainerName && !c.Vantage.Exact: // a container has other addresses too
		finding.Severity = report.SeverityWarning
	case c.ServerReached() && fault != c.typedFault:
		finding.Severity = cmp.Or(find(fault.Cause).whenReached, report.SeverityInfo)
	}
	return finding
}

// mayFail says whether it is no fault that the server is not reached from the vantage.
// Nobody named it, another one reaches the server, and the port is not published, which
// would be for others to reach it; or it has nothing to do with the server.
func (c *vantageCase) mayFail() bool {
	asked := func(v facts.Vantage) bool { return v.Typed != "" }
	if c.Vantage.Beside || c.Vantage.Optional && slices.ContainsFunc(c.vantages, asked) {
		return true
	}
	return c.Vantage.Optional && c.elsewhereReached && len(c.Server.Bindings) == 0
}
