package render

import (
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/docker/cli/cli/command/formatter"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// writeRows executes a template for each item with docker's formatter. Its errors
// are those of the template.
func writeRows[T any](w io.Writer, format string, header formatter.SubContext, items []T, row func(T) formatter.SubContext) error {
	ctx := formatter.Context{Output: w, Format: formatter.Format(format)}
	err := ctx.Write(header, func(write func(formatter.SubContext) error) error {
		for _, item := range items {
			if err := write(row(item)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return invalidFormat(err)
	}
	return nil
}

func writeProbeRows(w io.Writer, format string, probes []report.Probe) error {
	header := &probeRow{HeaderContext: formatter.HeaderContext{Header: probeHeader}}
	return writeRows(w, format, header, probes, func(p report.Probe) formatter.SubContext { return &probeRow{probe: p} })
}

func writeCheckRows(w io.Writer, format string, checks []report.Check) error {
	header := &checkRow{HeaderContext: formatter.HeaderContext{Header: checkHeader}}
	return writeRows(w, format, header, checks, func(c report.Check) formatter.SubContext { return &checkRow{check: c} })
}

// columnTitles are the titles of columns for text other than a table on a terminal.
func columnTitles(header formatter.SubHeaderContext, fields ...string) []string {
	titles := make([]string, len(fields))
	for i, field := range fields {
		titles[i] = strings.ToLower(header[field])
	}
	return titles
}

// probeRow holds the fields of a probe for a table template.
type probeRow struct {
	formatter.HeaderContext
	probe report.Probe
}

var probeHeader = formatter.SubHeaderContext{
	"Server":    "SERVER",
	"Vantage":   "VANTAGE",
	"Kind":      "KIND",
	"Address":   "ADDRESS",
	"URL":       "URL",
	"Result":    "RESULT",
	"Time":      "TIME",
	"What":      "WHAT HAPPENED",
	"Failure":   "FAILURE",
	"Cause":     "CAUSE",
	"Attempts":  "ATTEMPTS",
	"WebSocket": "WEBSOCKET",
}

// MarshalJSON lets {{json .}} print the probe as the Report has it.
func (r *probeRow) MarshalJSON() ([]byte, error) { return json.Marshal(r.probe) }

func (r *probeRow) Server() string    { return strconv.Itoa(r.probe.Server + 1) }
func (r *probeRow) Vantage() string   { return r.probe.Vantage }
func (r *probeRow) Kind() string      { return string(r.probe.Kind) }
func (r *probeRow) Address() string   { return r.probe.Address }
func (r *probeRow) URL() string       { return r.probe.URL }
func (r *probeRow) Failure() string   { return string(r.probe.Failure) }
func (r *probeRow) Cause() string     { return string(r.probe.Cause) }
func (r *probeRow) Attempts() string  { return strconv.Itoa(r.probe.Attempts) }
func (r *probeRow) WebSocket() string { return string(r.probe.WebSocket) }

// Result is the HTTP status if the intended server sent one.
func (r *probeRow) Result() string {
	switch p := r.probe; {
	case p.Status != 0 && p.Identity != netprobe.IdentityMismatch:
		return strconv.Itoa(p.Status)
	case p.OK:
		return "ok"
	default:
		return "failed"
	}
}

// Time is the duration of the last attempt. A probe that asks nothing has listened for a
// time that says nothing of the server.
func (r *probeRow) Time() string {
	ms := r.probe.Timings.TotalMS
	if r.probe.OK && r.probe.Phase == netprobe.PhaseRequest {
		ms = r.probe.Timings.ResolveMS + r.probe.Timings.ConnectMS
	}
	d := time.Duration(ms * float64(time.Millisecond))
	switch {
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	default:
		return d.Round(10 * time.Millisecond).String()
	}
}

// What says in words what happened.
func (r *probeRow) What() string {
	switch p := r.probe; {
	case !p.OK:
		return failureWords(p)
	case p.WebSocket == netprobe.WebSocketOK:
		return "ok with WebSocket"
	case p.Phase == netprobe.PhaseRequest:
		return "accepted by the server" // which has not said anything
	default:
		return "answered"
	}
}

// checkRow holds the fields of a check for a table template.
type checkRow struct {
	formatter.HeaderContext
	check report.Check
}

var checkHeader = formatter.SubHeaderContext{
	"Context":  "CONTEXT",
	"Category": "CATEGORY",
	"Name":     "CHECK",
	"Result":   "RESULT",
	"Detail":   "DETAIL",
	"Cause":    "CAUSE",
}

// MarshalJSON lets {{json .}} print the check as the Report has it.
func (r *checkRow) MarshalJSON() ([]byte, error) { return json.Marshal(r.check) }

func (r *checkRow) Context() string  { return r.check.Context }
func (r *checkRow) Category() string { return r.check.Category }
func (r *checkRow) Name() string     { return r.check.Name }
func (r *checkRow) Result() string   { return string(r.check.Result) }
func (r *checkRow) Detail() string   { return r.check.Detail }
func (r *checkRow) Cause() string    { return string(r.check.Cause) }
