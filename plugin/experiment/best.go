package experiment

import (
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/experiment/ranking"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// pickBestAddresses fills in the best address of each server from each vantage, and the
// Report's OK: whether each server is reached from the run's own vantage. A server that has
// exited is reached nowhere, even if it had answered.
func (r *run) pickBestAddresses() {
	for _, v := range r.vantages() {
		best := ranking.PickBestOfEach(r.request.Servers, r.ofRunning(report.ProbesFrom(v.Name, r.report.Probes)), v.KindRanking(r.engine.Host), r.request.Target.Path)
		r.report.Best = append(r.report.Best, best...)
		if v.Name == r.vantage.Name {
			r.report.OK = len(best) == r.request.Servers
		}
	}
}

// ofRunning returns the probes of the servers that have not exited. A relay knows of the exit of
// those that it starts on demand by itself.
func (r *run) ofRunning(probes []report.Probe) []report.Probe {
	return slices.DeleteFunc(slices.Clone(probes), func(p report.Probe) bool {
		return slices.ContainsFunc(r.servers, func(s *server) bool { return s.index == p.Server && s.hasExited() })
	})
}

// PickBestFrom picks the best address of each server from one vantage, whose kinds of
// addresses stay valid equally long.
func PickBestFrom(vantage string, probes []report.Probe, request Request) []report.Best {
	return ranking.PickBestOfEach(request.Servers, report.ProbesFrom(vantage, probes), nil, request.Target.Path)
}
