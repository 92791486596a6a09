package experiment

import (
	"errors"
	"fmt"
	"slices"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/ranking"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// reach returns whether a server is reached from one vantage, and if not, the cause of
// the finding that is an error.
func (r *run) reach(server int, v inspectedVantage, probes []report.Probe, findings []report.Finding) report.Reach {
	reach := report.Reach{Vantage: v.Name}
	if best, ok := ranking.PickBest(server, r.ofRunning(report.ProbesFrom(v.Name, probes)), v.KindRanking(r.engine.Host), r.request.Target.Path); ok {
		reach.OK, reach.URL = true, best.URL
		return reach
	}
	if i := slices.IndexFunc(findings, func(f report.Finding) bool { return f.Severity == report.SeverityError }); i >= 0 {
		reach.Cause = findings[i].Cause
	}
	return reach
}

// modeReport returns the result of the network mode that the run was for.
func (r *run) modeReport(err error) report.Mode {
	m := report.Mode{Name: r.options.mode.name, Server: -1, From: []report.Reach{}, Findings: r.report.Findings}
	if err != nil {
		m.Result, m.Detail = report.ModeCannot, netprobe.Visible(err.Error(), report.MaxLine)
		if fault := new(report.Fault); errors.As(err, &fault) {
			m.Cause = fault.Cause
			m.Findings = diagnosis.Merge(m.Findings, []report.Finding{diagnosis.Finding(fault)})
		}
		return m
	}
	m.From = r.reaches
	m.Result = modeResult(m.From)
	if i := slices.IndexFunc(m.From, func(f report.Reach) bool { return f.Cause != "" }); i >= 0 {
		m.Cause = m.From[i].Cause
		ofCause := func(f report.Finding) bool { return f.Cause == m.Cause }
		if at := slices.IndexFunc(m.Findings, ofCause); at >= 0 {
			m.Detail = m.Findings[at].Title
		}
	}
	return m
}

// noneMeasured is the error of modes of which none could be measured: the engine could not make
// their networks, or not start their servers. It is nil if one was measured.
func noneMeasured(results []modeRun) error {
	for _, result := range results {
		if result.report == nil || len(result.mode.From) > 0 {
			return nil
		}
	}
	if len(results) == 0 {
		return nil
	}
	first := results[0].mode
	return fmt.Errorf("none of these network modes could be measured; %s: %s", first.Name, first.Detail)
}

func modeResult(from []report.Reach) report.ModeResult {
	reached := 0
	for _, f := range from {
		switch {
		case f.OK:
			reached++
		case f.Cause == "":
			return report.ModeFailed
		}
	}
	switch reached {
	case len(from):
		return report.ModeWorks
	case 0:
		return report.ModeCannot
	default:
		return report.ModePartly
	}
}

// mergeReports returns the Report of several runs together.
func mergeReports(results []modeRun) *report.Report {
	all := report.New("run")
	findings := all.Findings
	unknown := false
	for _, result := range results {
		if result.report == nil {
			continue // it was not started
		}
		mode := result.mode
		offset := len(all.Servers)
		if len(result.report.Servers) > 0 {
			mode.Server = offset
		}
		all.Modes = append(all.Modes, mode)
		all.Endpoint = result.report.Endpoint
		all.OK = all.OK || slices.ContainsFunc(mode.From, func(f report.Reach) bool { return f.OK })
		unknown = unknown || mode.Result == report.ModeFailed
		all.Add(result.report)
		findings = diagnosis.Merge(findings, mode.Findings)
	}
	all.Findings = findings
	all.OK = all.OK && !unknown
	return all
}
