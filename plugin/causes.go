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

// explain prints the explanation of a cause, or, if text is an error message, the causes
// that have it.
func explain(w io.Writer, text string) error {
	cause := report.Cause(text)
	if explanation := diagnosis.Explanation(cause); explanation != "" {
		_, err := fmt.Fprintf(w, "%s: %s\n\n%s", cause, diagnosis.Title(cause), explanation)
		return err
	}
	isID := looksLikeID(text)
	if isID && strings.Contains(text, "-") {
		return unknownCause(text)
	}
	if matches := lookup.WithMessage(text); len(matches) > 0 {
		return listMatches(w, matches)
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
func listMatches(w io.Writer, matches []lookup.Match) error {
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
