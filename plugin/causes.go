package plugin

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/docker/cli/cli/command/formatter"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/render"
)

// causeColumns are those of the plain table of causes.
const causeColumns = "table {{.ID}}\t{{.Title}}"

// listCauses writes every cause, by docker's formatter. An error is one of usage.
func listCauses(w io.Writer, format string, quiet bool) error {
	switch {
	case render.OfReports(format):
		return fmt.Errorf("invalid --format: %s shows what was measured, and --list measures nothing", format)
	case quiet:
		format = "{{.ID}}"
	case format == "" || format == formatter.TableFormatKey:
		format = causeColumns
	}
	ctx := formatter.Context{Output: w, Format: formatter.Format(format)}
	return ctx.Write(newCauseRow(""), func(write func(formatter.SubContext) error) error {
		for _, cause := range diagnosis.Causes() {
			if err := write(newCauseRow(cause)); err != nil {
				return err
			}
		}
		return nil
	})
}

// causeRow is what a template sees of a cause.
type causeRow struct {
	formatter.HeaderContext
	cause report.Cause
}

func newCauseRow(cause report.Cause) *causeRow {
	row := &causeRow{cause: cause}
	row.Header = formatter.SubHeaderContext{"ID": "CAUSE", "Title": "TITLE", "Explanation": "EXPLANATION"}
	return row
}

func (r *causeRow) ID() string          { return string(r.cause) }
func (r *causeRow) Title() string       { return diagnosis.Title(r.cause) }
func (r *causeRow) Explanation() string { return diagnosis.Explanation(r.cause) }

// MarshalJSON leaves out the explanation, which is a page.
func (r *causeRow) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"ID": r.ID(), "Title": r.Title()})
}

// explainCause writes all there is to say about one cause. Its error names the
// causes that may have been meant.
func explainCause(w io.Writer, id string) error {
	cause := report.Cause(id)
	if text := diagnosis.Explanation(cause); text != "" {
		_, err := fmt.Fprintf(w, "%s: %s\n\n%s", cause, diagnosis.Title(cause), text)
		return err
	}
	near := diagnosis.Nearest(id)
	if len(near) == 0 {
		return usageError(fmt.Errorf("unknown cause %q: `docker nestprobe diagnose --list` lists them", id))
	}
	names := make([]string, len(near))
	for i, cause := range near {
		names[i] = string(cause)
	}
	return usageError(fmt.Errorf("unknown cause %q: did you mean %s?", id, strings.Join(names, ", ")))
}
