package report

// Add appends the servers of another Report, with all that belongs to them, and adds
// its timings, except for the total. The caller sets OK.
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
