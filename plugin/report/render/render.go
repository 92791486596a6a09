// Package render writes Reports for people and programs: as a table, as JSON, as
// Markdown, as a diagram, as settings for other tools, or through a Go template,
// with the words and template functions of docker's own commands. The commands in
// package plugin call it. Every format is a pure function of the Report.
package render

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/template"
	"unicode"

	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/cli/templates"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/render/layout"
)

// Options say how to write a Report.
type Options struct {
	Format string // one of Names, "table TEMPLATE" or a Go template; "" is "table"
	Quiet  bool   // only the best base URLs, or the causes that diagnose found
	Color  bool   // for the plain table
	Width  int    // of the terminal, to which the plain table is shortened; 0 to shorten nothing
	Checks bool   // "table TEMPLATE" is executed for each check, not for each probe
}

// Renderer writes Reports in one format.
type Renderer struct {
	write   writer
	timings bool
}

// ShowsTimings says whether the format has the durations of a command's steps, which are
// known only at its end.
func (r *Renderer) ShowsTimings() bool { return r.timings }

type writer func(io.Writer, *report.Report) error

// formats are the named formats other than the table.
var formats = map[string]writer{
	formatter.JSONFormatKey: writeJSON,
	"markdown":              writeMarkdown,
	"mermaid":               writeMermaid,
	"env":                   writeEnv,
}

// Names lists the named formats, the default first.
func Names() []string {
	return []string{formatter.TableFormatKey, formatter.JSONFormatKey, "markdown", "mermaid", "env"}
}

// OfReports says whether a format can only show a Report, not other lists such as that
// of causes.
func OfReports(format string) bool {
	return formats[format] != nil && format != formatter.JSONFormatKey
}

// ofAddresses are the formats that show only the addresses that were probed.
var ofAddresses = []string{"mermaid", "env"}

// New checks the options and parses the template. Like docker's own commands, it
// does not execute the template: a field that does not exist is an error of Write.
// The errors are a [FormatError].
func New(options Options) (*Renderer, error) {
	// These would show nothing, and a program that reads its settings from empty output
	// would continue without them.
	if options.Checks && !options.Quiet && slices.Contains(ofAddresses, options.Format) {
		return nil, &FormatError{fmt.Errorf("%s needs a TARGET: it shows addresses, and none is probed without one", options.Format)}
	}
	write, err := options.writer()
	if err != nil {
		return nil, err
	}
	if options.Quiet {
		write = writeQuiet
	}
	format := cmp.Or(options.Format, formatter.TableFormatKey)
	return &Renderer{write, !options.Quiet && !formatter.Format(format).IsTable() && !slices.Contains(ofAddresses, format)}, nil
}

// writer returns the function that writes the format.
func (o Options) writer() (writer, error) {
	switch format := cmp.Or(o.Format, formatter.TableFormatKey); {
	case formats[format] != nil:
		return formats[format], nil
	case format == formatter.TableFormatKey:
		return func(w io.Writer, rep *report.Report) error {
			return writeHuman(w, rep, layout.Screen{Color: o.Color, Width: o.Width})
		}, nil
	case formatter.Format(format).IsTable():
		write := func(w io.Writer, rep *report.Report) error { return writeProbeRows(w, format, rep.Probes) }
		if o.Checks {
			write = func(w io.Writer, rep *report.Report) error { return writeCheckRows(w, format, rep.Checks) }
		}
		return write, write(io.Discard, report.New("")) // without rows, docker's formatter only parses
	case isWord(format):
		return nil, CheckWord(format, Names()...)
	default:
		parsed, err := templates.Parse(format)
		if err != nil {
			return nil, invalidFormat(err)
		}
		return func(w io.Writer, rep *report.Report) error { return writeTemplate(w, parsed, rep) }, nil
	}
}

// isWord says whether a format is a word, which as a template would print only itself.
func isWord(format string) bool {
	return !strings.ContainsFunc(format, func(r rune) bool { return r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// CheckWord returns a [FormatError] for a format that is a word and not one of those that
// are known.
func CheckWord(format string, known ...string) error {
	if format == "" || !isWord(format) || slices.Contains(known, format) {
		return nil
	}
	return &FormatError{fmt.Errorf("there is no format %q: use %s, or a Go template such as '{{json .}}'", format, strings.Join(known, ", "))}
}

// FormatError says that a Report cannot be written in the format that was chosen.
type FormatError struct{ Err error }

func (e *FormatError) Error() string { return "invalid format: " + e.Err.Error() }

// Unwrap returns what is wrong with the format.
func (e *FormatError) Unwrap() error { return e.Err }

// invalidFormat is the error of a template that cannot be parsed or executed.
func invalidFormat(err error) error {
	var executing template.ExecError
	if errors.As(err, &executing) {
		err = executing.Err // without the "template parsing error" that docker's formatter puts before it
	}
	return &FormatError{err}
}

// Write writes a Report. Its errors are those of w, and of a template that cannot
// be executed, which has written nothing.
func (r *Renderer) Write(w io.Writer, rep *report.Report) error { return r.write(w, escape(rep)) }

func writeTemplate(w io.Writer, parsed *template.Template, rep *report.Report) error {
	var out strings.Builder
	if err := parsed.Execute(&out, rep); err != nil {
		return invalidFormat(err)
	}
	text := out.String()
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	_, err := io.WriteString(w, text)
	return err
}

func writeQuiet(w io.Writer, rep *report.Report) error {
	if rep.Command == "diagnose" {
		return writeCauses(w, rep.Findings)
	}
	return writeBest(w, rep)
}

// writeBest writes the best base URLs from the vantage that comes first. Those of
// other vantages may not work there.
func writeBest(w io.Writer, rep *report.Report) error {
	bests := slices.DeleteFunc(slices.Clone(rep.Best), func(b report.Best) bool { return b.Vantage == report.VantagePeer })
	for _, best := range bests {
		if best.Vantage != bests[0].Vantage {
			continue
		}
		if _, err := fmt.Fprintln(w, best.URL); err != nil {
			return err
		}
	}
	return nil
}

func writeJSON(w io.Writer, rep *report.Report) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(rep)
}
