package experiment

import (
	"context"
	"time"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// ProbeWork is what a Prober is asked to do, as it goes over a pipe.
type ProbeWork struct {
	Targets []ProbeTarget `json:"targets"`
	Trust   Trust         `json:"trust"`
	Timeout time.Duration `json:"timeout"` // of one attempt
	Wait    time.Duration `json:"wait"`    // for all

	MaxSegment int `json:"maxSegment,omitempty"` // netprobe.Options.MaxSegment
}

// ProbeTarget is one address to try.
type ProbeTarget struct {
	netprobe.Target
	Grace time.Duration `json:"grace"` // see entry.grace
}

// ProbeResult is what became of a target; netprobe.Result without its Go
// errors.
type ProbeResult struct {
	Attempts  int                `json:"attempts"` // 0: never tried to its end
	OK        bool               `json:"ok"`
	Phase     netprobe.Phase     `json:"phase"`
	Failure   netprobe.Failure   `json:"failure"`
	Detail    string             `json:"detail"`
	Status    int                `json:"status"`
	Body      string             `json:"body"`
	Identity  netprobe.Identity  `json:"identity"`
	WebSocket netprobe.WebSocket `json:"webSocket"`
	Timings   netprobe.Timings   `json:"timings"`
	PathMTU   int                `json:"pathMTU"`
}

// Do does the work in this process.
func (w ProbeWork) Do(ctx context.Context) []ProbeResult {
	ctx, cancel := context.WithTimeout(ctx, w.Wait)
	defer cancel()
	entries := make([]*entry, len(w.Targets))
	for i, t := range w.Targets {
		entries[i] = &entry{target: t.Target, grace: t.Grace}
	}
	localContest(ctx, entries, terms{w.Trust, w.Timeout, w.MaxSegment})
	results := make([]ProbeResult, len(entries))
	for i, e := range entries {
		results[i] = wireResult(e)
	}
	return results
}

func wireResult(e *entry) ProbeResult {
	r := e.result
	return ProbeResult{
		Attempts: e.attempts, OK: r.OK, Phase: r.Phase, Failure: r.Failure, Detail: r.Detail,
		Status: r.Status, Body: r.Body, Identity: r.Identity, WebSocket: r.WebSocket, Timings: r.Timings,
		PathMTU: r.PathMTU,
	}
}

// remoteContest has the entries tried by a prober.
func remoteContest(ctx context.Context, prober Prober, entries []*entry, t terms) error {
	work := ProbeWork{Trust: t.trust, Timeout: t.timeout, MaxSegment: t.maxSegment}
	if deadline, ok := ctx.Deadline(); ok {
		work.Wait = time.Until(deadline)
	}
	for _, e := range entries {
		work.Targets = append(work.Targets, ProbeTarget{Target: e.target, Grace: e.grace})
	}
	results, err := prober.Probe(ctx, work)
	if err != nil {
		return err
	}
	for i, r := range results {
		entries[i].take(r)
	}
	return nil
}

// take is what another process measured for the entry.
func (e *entry) take(r ProbeResult) {
	e.attempts = r.Attempts
	e.result = netprobe.Result{
		OK: r.OK, Phase: r.Phase, Failure: r.Failure, Detail: r.Detail,
		Status: r.Status, Body: r.Body, Identity: r.Identity, WebSocket: r.WebSocket, Timings: r.Timings,
		PathMTU: r.PathMTU,
	}
}
