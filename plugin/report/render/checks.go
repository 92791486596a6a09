package render

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/docker/cli/cli/command/formatter"
	"github.com/morikuni/aec"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// writeChecks writes the checks by their categories, a line each, or, where there
// are several contexts, a line for each of these.
func writeChecks(out *bytes.Buffer, checks []report.Check, color bool) {
	if len(checks) == 0 {
		return
	}
	if checks[0].Context != "" {
		writeContexts(out, checks, color)
		return
	}
	name := widest(checks, func(c report.Check) string { return c.Name })
	category := ""
	for _, c := range checks {
		if c.Category != category {
			category = c.Category
			fmt.Fprintln(out, category)
		}
		writeCheck(out, c, "  "+pad(string(c.Result), resultWidth)+pad(c.Name, name)+c.Detail, color)
	}
	fmt.Fprintln(out)
}

// resultWidth is that of the longest result.
const resultWidth = len(report.CheckInconclusive)

// writeCheck writes one line, no wider than it may be.
func writeCheck(out *bytes.Buffer, c report.Check, line string, color bool) {
	line = cut(strings.TrimRight(line, " "))
	if color {
		line = tint(c.Result, line)
	}
	fmt.Fprintln(out, line)
}

func tint(result report.CheckResult, line string) string {
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

// writeContexts writes a line for each context: its worst check, or what it leads
// to if all is well.
func writeContexts(out *bytes.Buffer, checks []report.Check, color bool) {
	name := widest(checks, func(c report.Check) string { return c.Context })
	for len(checks) > 0 {
		end := slices.IndexFunc(checks, func(c report.Check) bool { return c.Context != checks[0].Context })
		if end < 0 {
			end = len(checks)
		}
		worst := slices.MaxFunc(checks[:end], func(a, b report.Check) int { return cmp.Compare(badness(a.Result), badness(b.Result)) })
		line := pad(string(worst.Result), resultWidth) + pad(worst.Context, name) + about(checks[:end], worst)
		writeCheck(out, worst, line, color)
		checks = checks[end:]
	}
	fmt.Fprintln(out)
}

// badness orders results. What does not apply or decides nothing is as good as
// what passes, where there is one line for all.
func badness(result report.CheckResult) int {
	return slices.Index([]report.CheckResult{report.CheckWarning, report.CheckCrashed, report.CheckFailure}, result)
}

// about is what a context leads to, and what is wrong with it.
func about(checks []report.Check, worst report.Check) string {
	var words []string
	for _, name := range []string{report.CheckOfEngine, report.CheckOfEndpoint} {
		i := slices.IndexFunc(checks, func(c report.Check) bool { return c.Name == name && c.Result == report.CheckPass })
		if i >= 0 {
			words = append(words, checks[i].Detail)
		}
	}
	switch {
	case badness(worst.Result) < 0:
	case worst.Cause != "":
		words = append([]string{string(worst.Cause)}, words...)
	default:
		words = append([]string{worst.Detail}, words...)
	}
	return strings.Join(words, "; ")
}

func widest(checks []report.Check, column func(report.Check) string) int {
	width := 0
	for _, c := range checks {
		width = max(width, utf8.RuneCountInString(column(c)))
	}
	return min(width, maxWidth/3)
}

// pad makes a column of a width, and the gap to the next.
func pad(text string, width int) string {
	text = shorten(text, width)
	return text + strings.Repeat(" ", width+columnGap-utf8.RuneCountInString(text))
}

// writeCauses writes the causes of errors and warnings alone.
func writeCauses(w io.Writer, findings []report.Finding) error {
	var written []report.Cause
	for _, f := range findings {
		if f.Cause == "" || f.Severity == report.SeverityInfo || slices.Contains(written, f.Cause) {
			continue
		}
		written = append(written, f.Cause)
		if _, err := fmt.Fprintln(w, f.Cause); err != nil {
			return err
		}
	}
	return nil
}

// writeCheckRows writes one row a check, by docker's formatter.
func writeCheckRows(w io.Writer, format string, checks []report.Check) error {
	ctx := formatter.Context{Output: w, Format: formatter.Format(format)}
	return ctx.Write(newCheckRow(), func(write func(formatter.SubContext) error) error {
		for _, c := range checks {
			if err := write(&checkRow{check: c}); err != nil {
				return err
			}
		}
		return nil
	})
}

// checkRow is what a table template sees of a check.
type checkRow struct {
	formatter.HeaderContext
	check report.Check
}

func newCheckRow() *checkRow {
	r := &checkRow{}
	r.Header = formatter.SubHeaderContext{
		"Context":  "CONTEXT",
		"Category": "CATEGORY",
		"Name":     "CHECK",
		"Result":   "RESULT",
		"Detail":   "DETAIL",
		"Cause":    "CAUSE",
	}
	return r
}

// MarshalJSON lets {{json .}} print the check as the Report has it.
func (r *checkRow) MarshalJSON() ([]byte, error) { return json.Marshal(r.check) }

func (r *checkRow) Context() string  { return r.check.Context }
func (r *checkRow) Category() string { return r.check.Category }
func (r *checkRow) Name() string     { return r.check.Name }
func (r *checkRow) Result() string   { return string(r.check.Result) }
func (r *checkRow) Detail() string   { return r.check.Detail }
func (r *checkRow) Cause() string    { return string(r.check.Cause) }
