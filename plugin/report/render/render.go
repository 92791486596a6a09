// Package render shows Reports to people and programs: as a table, as JSON, as
// Markdown, as a picture, as settings for other tools, or through a Go template, in
// the words and with the template functions of docker's own commands. Every format
// is a pure function of the Report.
package render

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/template"

	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/cli/templates"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Options are what a user says about the output.
type Options struct {
	Format string // one of Names, "table TEMPLATE" or a Go template; "" is "table"
	Quiet  bool   // the best base URLs alone, or the causes that diagnose found
	Color  bool   // for the plain table
	Checks bool   // "table TEMPLATE" is of checks, not of probes
}

// Renderer writes Reports in one format.
type Renderer struct {
	options  Options
	template *template.Template // of a whole Report, if the format is one
}

// New checks the options, so that a bad template is told before anything is
// measured.
func New(options Options) (*Renderer, error) {
	format := formatter.Format(options.Format)
	if format == "" {
		options.Format = formatter.TableFormatKey
	}
	r := &Renderer{options: options}
	if err := checkNamed(options); err != nil {
		return nil, err
	}
	switch {
	case format == "", formats[options.Format] != nil:
		return r, nil
	case format.IsTable():
		if err := r.writeTableTemplate(io.Discard, sample()); err != nil {
			return nil, fmt.Errorf("invalid --format: %w", err)
		}
		return r, nil
	}
	var err error
	if r.template, err = templates.Parse(options.Format); err != nil {
		return nil, fmt.Errorf("invalid --format: %w", err)
	}
	if err := r.template.Execute(io.Discard, sample()); unknownField(err) {
		return nil, fmt.Errorf("invalid --format: %w", err)
	}
	return r, nil
}

// sample is a Report with one of everything, to try a template on.
func sample() *report.Report {
	r := report.New("")
	r.Checks = append(r.Checks, report.Check{})
	r.Accesses = append(r.Accesses, report.Access{})
	r.Nodes = append(r.Nodes, report.Node{})
	r.Modes = append(r.Modes, report.Mode{From: []report.Reach{{}}, Findings: []report.Finding{{}}})
	r.Servers = append(r.Servers, report.Server{
		Networks: []report.Network{{}}, Published: []report.PortBinding{{}},
	})
	r.Probes = append(r.Probes, report.Probe{})
	r.Best = append(r.Best, report.Best{})
	r.Findings = append(r.Findings, report.Finding{Evidence: []string{""}, Commands: []string{""}})
	return r
}

// unknownField says whether a template asks for what no Report has. Other errors
// may depend on the Report (an index beyond the sample's one), and text/template
// has no type to tell them apart.
func unknownField(err error) bool {
	return err != nil && strings.Contains(err.Error(), "can't evaluate field")
}

// Write writes a Report.
func (r *Renderer) Write(w io.Writer, rep *report.Report) error {
	rep = safe(rep)
	switch {
	case r.options.Quiet && rep.Command == "diagnose":
		return writeCauses(w, rep.Findings)
	case r.options.Quiet:
		return writeQuiet(w, rep)
	case formats[r.options.Format] != nil:
		return formats[r.options.Format](w, rep)
	case r.template != nil:
		return r.writeTemplate(w, rep)
	case r.options.Format == formatter.TableFormatKey:
		return writeHuman(w, rep, r.options.Color)
	default:
		return r.writeTableTemplate(w, rep)
	}
}

func (r *Renderer) writeTableTemplate(w io.Writer, rep *report.Report) error {
	if r.options.Checks {
		return writeCheckRows(w, r.options.Format, rep.Checks)
	}
	probes := make([]*report.Probe, len(rep.Probes))
	for i := range rep.Probes {
		probes[i] = &rep.Probes[i]
	}
	return writeRows(w, r.options.Format, probes)
}

func writeQuiet(w io.Writer, rep *report.Report) error {
	bests := forCaller(rep.Best)
	for _, best := range bests {
		if best.Vantage != bests[0].Vantage {
			continue // of use there alone
		}
		if _, err := fmt.Fprintln(w, best.URL); err != nil {
			return err
		}
	}
	return nil
}

// forCaller leaves out what is of use to a peer of the server alone.
func forCaller(bests []report.Best) []report.Best {
	return slices.DeleteFunc(slices.Clone(bests), func(b report.Best) bool { return b.Vantage == report.VantagePeer })
}

func writeJSON(w io.Writer, rep *report.Report) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(rep)
}

func (r *Renderer) writeTemplate(w io.Writer, rep *report.Report) error {
	var out strings.Builder
	if err := r.template.Execute(&out, rep); err != nil {
		return fmt.Errorf("template parsing error: %w", err)
	}
	text := out.String()
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	_, err := io.WriteString(w, text)
	return err
}
