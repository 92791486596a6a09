package probing

import (
	"context"
	"slices"
	"time"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// MayHaveWaited says whether the probes that had no answer in time may have waited for others: a
// server that handles one request at a time takes, for all attempts together, as long as for one
// times their number.
func MayHaveWaited(probes []report.Probe, attempts int, timeout time.Duration) bool {
	slowest, unanswered := 0.0, len(probes) < attempts
	for _, p := range probes {
		unanswered = unanswered || p.Failure == netprobe.NoResponse
		if p.OK {
			slowest = max(slowest, p.Timings.TotalMS)
		}
	}
	return unanswered && slowest*float64(attempts) >= report.Milliseconds(timeout)
}

// RetryOneByOne probes again, one by one, the addresses that gave no answer in time or
// were not probed to the end, and returns the probes with those that work now. It ends with the
// first that does not.
func RetryOneByOne(ctx context.Context, v Vantage, server int, attempts []Attempt, probes []report.Probe, terms netprobe.Race) ([]report.Probe, error) {
	terms.Once = true
	if err := awaitBacklog(ctx, v, attempts, probes, terms); err != nil {
		return probes, err
	}
	for i := range attempts {
		at := slices.IndexFunc(probes, func(p report.Probe) bool { return p.Address == attempts[i].Address })
		if at >= 0 && probes[at].Failure != netprobe.NoResponse {
			continue
		}
		results, err := v.Race(ctx, attempts[i:i+1], terms)
		if err != nil {
			return probes, err
		}
		rows := Rows(v.Name, server, attempts[i:i+1], results)
		switch {
		case len(rows) == 0:
			return probes, context.Cause(ctx)
		case at < 0:
			probes = append(probes, rows[0])
		case rows[0].OK:
			rows[0].Attempts += probes[at].Attempts
			probes[at] = rows[0]
		default:
			return probes, context.Cause(ctx)
		}
	}
	return probes, context.Cause(ctx)
}

// backlogFactor is how many times the time limit of one probe a server may take to handle what
// earlier probes had sent.
const backlogFactor = 10

// awaitBacklog probes an address that works. The server answers when it has handled what earlier
// probes had sent.
func awaitBacklog(ctx context.Context, v Vantage, attempts []Attempt, probes []report.Probe, terms netprobe.Race) error {
	ok := slices.IndexFunc(probes, func(p report.Probe) bool { return p.OK })
	if ok < 0 {
		return nil
	}
	at := slices.IndexFunc(attempts, func(a Attempt) bool { return a.Address == probes[ok].Address })
	if at < 0 {
		return nil
	}
	terms.Timeout *= backlogFactor
	_, err := v.Race(ctx, attempts[at:at+1], terms)
	return err
}
