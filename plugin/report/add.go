package report

// Add puts what another Report has measured into this one: its servers behind those
// that are there, and the times of its steps added up. Whether all is well is left
// to the caller.
func (r *Report) Add(other *Report) {
	offset := len(r.Servers)
	r.Servers = append(r.Servers, other.Servers...)
	for _, probe := range other.Probes {
		probe.Server += offset
		r.Probes = append(r.Probes, probe)
	}
	for _, best := range other.Best {
		best.Server += offset
		r.Best = append(r.Best, best)
	}
	for _, mode := range other.Modes {
		if mode.Server >= 0 {
			mode.Server += offset
		}
		r.Modes = append(r.Modes, mode)
	}
	r.Findings = append(r.Findings, other.Findings...)
	r.Timings.ImageMS += other.Timings.ImageMS
	r.Timings.StartMS += other.Timings.StartMS
	r.Timings.ProbeMS += other.Timings.ProbeMS
	r.Timings.CleanupMS += other.Timings.CleanupMS
}
