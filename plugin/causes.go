package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/docker/cli/cli/command/formatter"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/lookup"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/render"
)

// causeColumns are the columns of the default table of causes.
const causeColumns = "table {{.ID}}\t{{.Title}}"

// listCauses prints all causes with docker's formatter.
func listCauses(w io.Writer, format string, quiet bool) error {
	switch {
	case quiet:
		format = "{{.ID}}"
	case isTable(format):
		format = causeColumns
	}
	rows := make([]*causeRow, 0, len(diagnosis.Causes()))
	for _, cause := range diagnosis.Causes() {
		rows = append(rows, newCauseRow(cause))
	}
	return writeCauses(w, format, rows)
}

// isTable says whether a format is the default one.
func isTable(format string) bool { return format == "" || format == formatter.TableFormatKey }

// writeCauses prints causes with docker's formatter. An error is a usage error.
func writeCauses(w io.Writer, format string, rows []*causeRow) error {
	if render.OfReports(format) {
		return usageError(fmt.Errorf("invalid --format: %s prints a measurement, and causes are not measured: use table, json or a Go template", format))
	}
	if err := render.CheckWord(format, formatter.TableFormatKey, formatter.JSONFormatKey); err != nil {
		return usageError(nameFormat(err))
	}
	ctx := formatter.Context{Output: w, Format: formatter.Format(format)}
	err := ctx.Write(newCauseRow(""), func(write func(formatter.SubContext) error) error {
		for _, row := range rows {
			if err := write(row); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return usageError(err)
	}
	return nil
}

// causeRow is a cause with the fields that a template can use.
type causeRow struct {
	formatter.HeaderContext
	cause   report.Cause
	message string // the error message by which --explain found it
	whole   bool   // JSON has the explanation, which is a page long
}

func newCauseRow(cause report.Cause) *causeRow {
	row := &causeRow{cause: cause}
	row.Header = formatter.SubHeaderContext{"ID": "CAUSE", "Title": "TITLE", "Message": "MESSAGE", "Explanation": "EXPLANATION"}
	return row
}

func (r *causeRow) ID() string          { return string(r.cause) }
func (r *causeRow) Title() string       { return diagnosis.Title(r.cause) }
func (r *causeRow) Message() string     { return r.message }
func (r *causeRow) Explanation() string { return diagnosis.Explanation(r.cause) }

// MarshalJSON has only what was chosen: see the fields.
func (r *causeRow) MarshalJSON() ([]byte, error) {
	listed := report.ListedCause{ID: r.cause, Title: r.Title(), Message: r.message}
	if r.whole {
		listed.Explanation = r.Explanation()
	}
	return json.Marshal(listed)
}

// explain prints the explanation of a cause, or, if text is an error message, the causes
// that have it.
func explain(w io.Writer, text, format string) error {
	cause := report.Cause(text)
	if explanation := diagnosis.Explanation(cause); explanation != "" {
		if !isTable(format) {
			row := newCauseRow(cause)
			row.whole = true
			return writeCauses(w, format, []*causeRow{row})
		}
		_, err := fmt.Fprintf(w, "%s: %s\n\n%s\n%s\n", cause, diagnosis.Title(cause), explanation, cause.Page())
		return err
	}
	isID := looksLikeID(text)
	if isID && strings.Contains(text, "-") {
		return unknownCause(text)
	}
	if matches := lookup.WithMessage(text); len(matches) > 0 {
		return listMatches(w, matches, format)
	}
	if isID {
		return unknownCause(text)
	}
	return usageError(errors.New("no cause has an error message like this text: paste the line that says what failed, " +
		"or see all causes with `docker nestprobe diagnose --list`"))
}

// looksLikeID says whether a text may be a cause's id that is not typed as it is written.
func looksLikeID(text string) bool {
	other := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !strings.ContainsRune("-_ ", r) })
	return other < 0 && len(strings.Fields(text)) <= 3
}

// listMatches prints the causes that have an error message, best match first.
func listMatches(w io.Writer, matches []lookup.Match, format string) error {
	if !isTable(format) {
		rows := make([]*causeRow, len(matches))
		for i, match := range matches {
			rows[i] = newCauseRow(match.Cause)
			rows[i].message = match.Message
		}
		return writeCauses(w, format, rows)
	}
	var text strings.Builder
	for _, match := range matches {
		fmt.Fprintf(&text, "%s: %s\n    %s\n", match.Cause, diagnosis.Title(match.Cause), match.Message)
	}
	_, err := fmt.Fprintf(w, "%s\nTo read about one: docker nestprobe diagnose --explain %s\n"+
		"To measure which one it is: docker nestprobe diagnose [CONTAINER:PORT]\n", text.String(), matches[0].Cause)
	return err
}

// unknownCause is the error for an id that is no cause's. It suggests similar ones.
func unknownCause(id string) error {
	similar := lookup.Nearest(id)
	if len(similar) == 0 {
		return usageError(fmt.Errorf("unknown cause %q: `docker nestprobe diagnose --list` lists them", id))
	}
	names := make([]string, len(similar))
	for i, cause := range similar {
		names[i] = string(cause)
	}
	return usageError(fmt.Errorf("unknown cause %q: did you mean %s?", id, strings.Join(names, ", ")))
}
