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

// causeColumns are the columns of the default table of causes.
const causeColumns = "table {{.ID}}\t{{.Title}}"

// listCauses prints all causes with docker's formatter. An error is a usage error.
func listCauses(w io.Writer, format string, quiet bool) error {
	switch {
	case render.OfReports(format):
		return fmt.Errorf("invalid --format: %s prints a measurement, and --list measures nothing", format)
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

// causeRow is a cause with the fields that a template can use.
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

// MarshalJSON omits the explanation, which is a page long.
func (r *causeRow) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"ID": r.ID(), "Title": r.Title()})
}

// explainCause prints the explanation of a cause. The error for an unknown id
// suggests similar ones.
func explainCause(w io.Writer, id string) error {
	cause := report.Cause(id)
	if text := diagnosis.Explanation(cause); text != "" {
		_, err := fmt.Fprintf(w, "%s: %s\n\n%s", cause, diagnosis.Title(cause), text)
		return err
	}
	similar := diagnosis.Nearest(id)
	if len(similar) == 0 {
		return usageError(fmt.Errorf("unknown cause %q: `docker nestprobe diagnose --list` lists them", id))
	}
	names := make([]string, len(similar))
	for i, cause := range similar {
		names[i] = string(cause)
	}
	return usageError(fmt.Errorf("unknown cause %q: did you mean %s?", id, strings.Join(names, ", ")))
}
