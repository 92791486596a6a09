// Package render shows Reports to people and programs: as a table, as JSON, as
// Markdown, as a picture, as settings for other tools, or through a Go template, in
// the words and with the template functions of docker's own commands. Every format
// is a pure function of the Report.
package render

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
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
	if format == "" || formats[options.Format] != nil {
		return r, nil
	}
	if !format.IsTable() {
		var err error
		if r.template, err = templates.Parse(options.Format); err != nil {
			return nil, fmt.Errorf("invalid --format: %w", err)
		}
	}
	if err := r.try(); err != nil {
		return nil, fmt.Errorf("invalid --format: %w", err)
	}
	return r, nil
}

// try executes the template on Reports that take it both ways at every condition
// that asks for one value: a text/template says what is wrong with it only where it
// comes by.
func (r *Renderer) try() error {
	write := r.writeTableTemplate
	if r.template != nil {
		write = r.writeTemplate
	}
	for _, rep := range []*report.Report{report.New(""), sample(false), sample(true)} {
		if err := write(io.Discard, rep); err != nil && !dependsOnReport(err) {
			return err
		}
	}
	return nil
}

// dependsOnReport says whether a template may be good for another Report, one with
// longer lists or texts. The package text/template has no type to tell such errors
// from others.
func dependsOnReport(err error) bool {
	return strings.Contains(err.Error(), "out of range") || strings.Contains(err.Error(), "invalid slice index")
}

// sample is a Report with one of everything, each value of which is set, or zero.
func sample(set bool) *report.Report {
	rep := report.New("")
	stock(reflect.ValueOf(rep).Elem(), set)
	return rep
}

// sampleText is as long as what templates cut from most, the id of a container.
var sampleText = strings.Repeat("x", 64)

func stock(v reflect.Value, set bool) {
	switch {
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			stock(v.Field(i), set)
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		stock(v.Index(0), set)
	case !set:
		v.SetZero()
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.Kind() == reflect.String:
		v.SetString(sampleText)
	case v.CanInt():
		v.SetInt(1)
	case v.CanUint():
		v.SetUint(1)
	case v.CanFloat():
		v.SetFloat(1)
	}
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
