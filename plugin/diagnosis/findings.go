package diagnosis

import (
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Merge makes one list of several: findings of one cause become one, with the
// severity of the worst and the evidence of all.
func Merge(lists ...[]report.Finding) []report.Finding {
	merged := newFindings()
	for _, finding := range slices.Concat(lists...) {
		merged.merge(finding)
	}
	return merged.list
}

// findings collects findings, those of one cause as one.
type findings struct {
	list []report.Finding
}

// newFindings has an empty list, since nil is null in JSON.
func newFindings() *findings { return &findings{list: []report.Finding{}} }

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
