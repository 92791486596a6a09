package experiment

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// The names of vantages. A running container that is asked from is
// VantageContainer and its name.
const (
	VantageHost      = "host"
	VantageClient    = "client"
	VantagePeer      = report.VantagePeer
	VantageContainer = "container:"
)

// Vantage is where probes are sent from.
type Vantage struct {
	Name string
	// Container is the container whose networks the probes leave by, as the
	// servers' engine knows it; empty for a process outside of its containers.
	Container string
	// Prober sends them; nil for this process.
	Prober Prober
}

// Prober tries candidates somewhere else than in this process.
type Prober interface {
	Probe(ctx context.Context, work ProbeWork) ([]ProbeResult, error)
}

// Trust says how the certificates of servers are judged.
type Trust string

// The ways to judge a certificate.
const (
	TrustSystem   Trust = "system"   // by the system's authorities, for the address's host
	TrustIdentity Trust = "identity" // not at all: the identity proves who answers
)

func (v Vantage) candidates(f Facts) []Candidate {
	if v.Container == "" {
		return HostCandidates(f)
	}
	return ContainerCandidates(f)
}

// inspect reads the networks of the vantage's container.
func (v Vantage) inspect(ctx context.Context, api API) (inspection, error) {
	if v.Container == "" {
		return inspection{}, nil
	}
	response, err := inspectContainer(ctx, api, v.Container)
	if err != nil {
		return inspection{}, err
	}
	if response, _, err = withNetwork(ctx, api, response); err != nil {
		return inspection{}, err
	}
	return read(response, 0), nil
}

// terms are those on which addresses are tried.
type terms struct {
	trust      Trust
	timeout    time.Duration // of one attempt
	maxSegment int           // netprobe.Options.MaxSegment
}

// contest tries the entries until ctx ends or each has had its last try.
func (v Vantage) contest(ctx context.Context, entries []*entry, t terms) error {
	if v.Prober != nil {
		return remoteContest(ctx, v.Prober, entries, t)
	}
	localContest(ctx, entries, t)
	return nil
}

func localContest(ctx context.Context, entries []*entry, t terms) {
	c := contest{probe: netprobe.Probe, options: netprobe.Options{Timeout: t.timeout, MaxSegment: t.maxSegment}}
	if t.trust == TrustIdentity {
		c.options.TLS = &tls.Config{
			MinVersion:         tls.VersionTLS12,
			InsecureSkipVerify: true, //nolint:gosec // the identity token proves who answers
		}
	}
	c.run(ctx, entries)
}
