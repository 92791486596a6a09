package diagnosis

import (
	"slices"

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
	found := newFindings()
	order := causeOrder()
	for _, v := range in.Vantages {
		c := newVantageCase(in, v, probes, order)
		faults := append(c.explainRows(result.Probes), c.explainVantage()...)
		if !c.serverReached() {
			found.add(c.root(faults), severityOfFailure(v))
			continue
		}
		for _, fault := range faults {
			found.add(fault, severityWhenReached(fault.Cause))
		}
	}
	result.Findings = found.list
	return result
}

func severityWhenReached(id report.Cause) report.Severity {
	if c := find(id); c.whenReached != "" {
		return c.whenReached
	}
	return report.SeverityInfo
}

func severityOfFailure(v facts.Vantage) report.Severity {
	if v.Optional {
		return report.SeverityWarning
	}
	return report.SeverityError
}
