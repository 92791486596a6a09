package render

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/morikuni/aec"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/render/layout"
)

// writeVerdict writes whether anything is wrong, for diagnose without a TARGET.
func writeVerdict(out *bytes.Buffer, rep *report.Report) {
	if len(rep.Checks) == 0 {
		return
	}
	count := map[report.Severity]int{}
	for _, f := range rep.Findings {
		count[f.Severity]++
	}
	words := []string{}
	for _, severity := range []report.Severity{report.SeverityError, report.SeverityWarning} {
		if n := count[severity]; n > 0 {
			words = append(words, plural(n, string(severity)))
		}
	}
	verdict := cmp.Or(strings.Join(words, ", "), "Nothing is wrong")
	if len(words) == 0 && slices.ContainsFunc(rep.Checks, func(c report.Check) bool { return badness(c.Result) >= 0 }) {
		verdict = "Not every check passes"
	}
	fmt.Fprintf(out, "%s (%s)\n\n", verdict, plural(len(rep.Checks), "check"))
}

func plural(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "s"):
		return fmt.Sprintf("%d %ses", n, noun)
	default:
		return fmt.Sprintf("%d %ss", n, noun)
	}
}

// writeChecks writes a line for each check, by category. The checks of several
// contexts get a line for each context.
func writeChecks(out *bytes.Buffer, checks []report.Check, s layout.Screen) {
	if len(checks) == 0 {
		return
	}
	if checks[0].Context != "" {
		writeContexts(out, checks, s)
		return
	}
	nameWidth := widest(s, checks, func(c report.Check) string { return c.Name })
	category := ""
	for _, c := range checks {
		if c.Category != category {
			category = c.Category
			fmt.Fprintln(out, category)
		}
		writeCheck(out, c, "  "+layout.Pad(string(c.Result), resultWidth)+layout.Pad(c.Name, nameWidth)+c.Detail, s)
	}
	fmt.Fprintln(out)
}

// resultWidth is the width of the longest result.
const resultWidth = len(report.CheckInconclusive)

func writeCheck(out *bytes.Buffer, c report.Check, line string, s layout.Screen) {
	line = s.Cut(strings.TrimRight(line, " "))
	if s.Color {
		line = paintCheck(c.Result, line)
	}
	fmt.Fprintln(out, line)
}

func paintCheck(result report.CheckResult, line string) string {
	switch result {
	case report.CheckFailure, report.CheckCrashed:
		return aec.RedF.Apply(line)
	case report.CheckWarning:
		return aec.YellowF.Apply(line)
	case report.CheckSkipped, report.CheckInconclusive:
		return aec.Faint.Apply(line)
	default:
		return line
	}
}

// writeContexts writes a line for each context: its worst check, its engine and
// its endpoint.
func writeContexts(out *bytes.Buffer, checks []report.Check, s layout.Screen) {
	nameWidth := widest(s, checks, func(c report.Check) string { return c.Context })
	for len(checks) > 0 {
		end := slices.IndexFunc(checks, func(c report.Check) bool { return c.Context != checks[0].Context })
		if end < 0 {
			end = len(checks)
		}
		worst := slices.MaxFunc(checks[:end], func(a, b report.Check) int {
			return cmp.Compare(badness(a.Result), badness(b.Result))
		})
		line := layout.Pad(string(worst.Result), resultWidth) + layout.Pad(worst.Context, nameWidth) + describeContext(checks[:end], worst)
		writeCheck(out, worst, line, s)
		checks = checks[end:]
	}
	fmt.Fprintln(out)
}

// badness orders results from good to bad. It is -1 for every result that is
// neither a warning nor a failure.
func badness(result report.CheckResult) int {
	return slices.Index([]report.CheckResult{report.CheckWarning, report.CheckCrashed, report.CheckFailure}, result)
}

// describeContext says what is wrong with a context, then what its engine and
// endpoint are.
func describeContext(checks []report.Check, worst report.Check) string {
	var parts []string
	if badness(worst.Result) >= 0 {
		parts = append(parts, cmp.Or(string(worst.Cause), worst.Detail))
	}
	for _, name := range []string{report.CheckOfEngine, report.CheckOfEndpoint} {
		i := slices.IndexFunc(checks, func(c report.Check) bool { return c.Name == name && c.Result == report.CheckPass })
		if i >= 0 {
			parts = append(parts, checks[i].Detail)
		}
	}
	return strings.Join(parts, "; ")
}

// widest is the width that a column needs, on a terminal at most a third of the line.
func widest(s layout.Screen, checks []report.Check, column func(report.Check) string) int {
	width := 0
	for _, c := range checks {
		width = max(width, utf8.RuneCountInString(column(c)))
	}
	if s.Width == 0 {
		return width
	}
	return min(width, s.Width/3)
}

// writeCauses writes the causes of errors and warnings, each once.
func writeCauses(w io.Writer, findings []report.Finding) error {
	var causes []report.Cause
	for _, f := range findings {
		if f.Cause != "" && f.Severity != report.SeverityInfo {
			causes = addOnce(causes, f.Cause)
		}
	}
	for _, cause := range causes {
		if _, err := fmt.Fprintln(w, cause); err != nil {
			return err
		}
	}
	return nil
}
