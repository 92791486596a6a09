package render

import (
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/render/layout"
)

// observedBy returns the probe of which a line of evidence says what it saw
// (diagnosis.Observed); nil if it is another measurement.
func observedBy(rep *report.Report, line string) *report.Probe {
	rest, ok := strings.CutPrefix(line, "from ")
	if !ok {
		return nil
	}
	i := slices.IndexFunc(rep.Probes, func(p report.Probe) bool {
		return strings.HasPrefix(rest, p.Vantage+": "+p.Address+" ("+string(p.Kind)+"): ")
	})
	if i < 0 {
		return nil
	}
	return &rep.Probes[i]
}

// plainFailures are those of which a table says everything.
var plainFailures = []netprobe.Failure{
	netprobe.NameNotFound, netprobe.NameTimeout, netprobe.Refused, netprobe.Unreachable, netprobe.ConnectTimeout,
	netprobe.Reset, netprobe.ClosedWithoutResponse, netprobe.NoResponse, netprobe.Silent,
}

// withoutRows returns evidence without the lines that repeat the rows of a table. Of each
// kind of answer one line stays, since it may have more, such as the names in a certificate.
// The rows of a table that is not shortened have that too.
func withoutRows(s layout.Screen, rep *report.Report, evidence []string) []string {
	var lines []string
	var answers []netprobe.Failure
	for _, line := range evidence {
		p := observedBy(rep, line)
		switch {
		case p == nil:
			lines = append(lines, line)
		case s.Width == 0 || slices.Contains(plainFailures, p.Failure) || slices.Contains(answers, p.Failure):
		default:
			answers = append(answers, p.Failure)
			lines = append(lines, line)
		}
	}
	return lines
}
