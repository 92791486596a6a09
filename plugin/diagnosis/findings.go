package diagnosis

import (
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Merge makes one list of several: findings of one cause become one, with the
// severity of the worst and the evidence of all. Without a cause, the title says what is wrong.
func Merge(lists ...[]report.Finding) []report.Finding {
	merged := []report.Finding{} // nil would be null in JSON
	for _, added := range slices.Concat(lists...) {
		i := slices.IndexFunc(merged, func(f report.Finding) bool {
			return f.Cause == added.Cause && (f.Cause != "" || f.Title == added.Title)
		})
		if i < 0 {
			merged = append(merged, added)
			continue
		}
		known := &merged[i]
		if added.Severity.WorseThan(known.Severity) {
			evidence := appendNew(slices.Clip(known.Evidence), added.Evidence)
			*known = added
			known.Evidence = evidence
			continue
		}
		known.Evidence = appendNew(slices.Clip(known.Evidence), added.Evidence)
	}
	return merged
}

// MaxEvidence bounds the lines of one finding: enough for every address of some
// servers.
const MaxEvidence = 24

// appendNew adds the lines that are not there yet, as far as there is room.
func appendNew(evidence, lines []string) []string {
	for _, line := range lines {
		if !slices.Contains(evidence, line) && len(evidence) < MaxEvidence {
			evidence = append(evidence, line)
		}
	}
	return evidence
}
