package witness

import (
	"net/netip"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	silent := report.Probe{Phase: netprobe.PhaseRequest, Failure: netprobe.Silent, Identity: netprobe.IdentityUnverified}
	answered := report.Probe{Phase: netprobe.PhaseAnswer, OK: true, Identity: netprobe.IdentityUnverified}
	verified := report.Probe{Phase: netprobe.PhaseAnswer, OK: true, Identity: netprobe.IdentityVerified}
	closed := report.Probe{Phase: netprobe.PhaseRequest, Failure: netprobe.ClosedWithoutResponse, Identity: netprobe.IdentityUnverified}
	refused := report.Probe{Phase: netprobe.PhaseConnect, Failure: netprobe.Refused, Identity: netprobe.IdentityUnverified}
	const witnessed, mismatch, unverified = netprobe.IdentityWitnessed, netprobe.IdentityMismatch, netprobe.IdentityUnverified
	for name, test := range map[string]struct {
		probe    report.Probe
		seen     facts.Seen
		ok       bool
		failure  netprobe.Failure
		identity netprobe.Identity
	}{
		"accepted":                      {silent, facts.SeenAccepted, true, "", witnessed},
		"accepted when data comes":      {silent, facts.SeenDeferred, true, "", witnessed},
		"waits":                         {silent, facts.SeenWaiting, false, netprobe.Silent, witnessed},
		"closed by the server":          {silent, facts.SeenClosed, false, netprobe.ClosedWithoutResponse, witnessed},
		"a forwarder with nothing":      {silent, facts.SeenNothing, false, netprobe.Silent, mismatch},
		"too many other clients":        {silent, facts.SeenAmongOthers, true, "", unverified},
		"nobody knows":                  {silent, facts.SeenUnknown, false, netprobe.Silent, unverified},
		"the answers do not come back":  {silent, facts.SeenUnanswered, false, netprobe.Silent, mismatch},
		"nobody looked":                 {silent, "", false, netprobe.Silent, unverified},
		"an answer":                     {answered, facts.SeenAccepted, true, "", witnessed},
		"an answer of another":          {answered, facts.SeenNothing, false, netprobe.WrongServer, mismatch},
		"an answer nobody looked at":    {answered, "", true, "", unverified},
		"the server's own token":        {verified, facts.SeenNothing, true, "", netprobe.IdentityVerified},
		"closed, and it arrived":        {closed, facts.SeenClosed, false, netprobe.ClosedWithoutResponse, witnessed},
		"closed, and it did not arrive": {closed, facts.SeenNothing, false, netprobe.ClosedWithoutResponse, unverified},
		"not connected":                 {refused, facts.SeenNothing, false, netprobe.Refused, unverified},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.probe.Address = "127.0.0.1:8080"
			watched := facts.Watched{Sightings: []facts.Sighting{{Address: test.probe.Address, Seen: test.seen}}}
			got := Judge([]report.Probe{test.probe}, nil, watched)[0]
			assert.Check(t, is.Equal(got.OK, test.ok))
			assert.Check(t, is.Equal(got.Failure, test.failure))
			assert.Check(t, is.Equal(got.Identity, test.identity))
		})
	}
}

// A name that has other addresses than the server's leads to others too.
func TestJudgeName(t *testing.T) {
	t.Parallel()
	own := []facts.Network{{Name: "shop", IPv4: netip.MustParseAddr("10.1.0.2"), IPv6: netip.MustParseAddr("fd00::2")}}
	for name, test := range map[string]struct {
		kind     report.Kind
		resolved []string
		ok       bool
	}{
		"its own":            {report.KindContainerName, []string{"10.1.0.2", "fd00::2"}, true},
		"another one too":    {report.KindContainerName, []string{"10.1.0.2", "10.1.0.3"}, false},
		"only another one":   {report.KindContainerName, []string{"10.1.0.3"}, false},
		"a name of the host": {report.KindPublishedHostAlias, []string{"172.17.0.1"}, true},
		"an address":         {report.KindContainerIP, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := report.Probe{Kind: test.kind, Resolved: test.resolved, OK: true, Phase: netprobe.PhaseAnswer}
			got := Judge([]report.Probe{p}, own, facts.Watched{})[0]
			assert.Check(t, is.Equal(got.OK, test.ok))
			assert.Check(t, is.Equal(got.Identity == netprobe.IdentityMismatch, !test.ok))
		})
	}
}

// Only good answers that nobody has proven and that are in doubt become those of another
// server.
func TestDistrust(t *testing.T) {
	t.Parallel()
	refused := report.Probe{Address: "refused", Failure: netprobe.Refused, Identity: netprobe.IdentityUnverified}
	witnessed := report.Probe{Address: "witnessed", OK: true, Identity: netprobe.IdentityWitnessed}
	trusted := report.Probe{Address: "trusted", OK: true, Identity: netprobe.IdentityUnverified}
	doubted := report.Probe{Address: "doubted", OK: true, Identity: netprobe.IdentityUnverified}
	probes := []report.Probe{refused, witnessed, trusted, doubted}
	Distrust(probes, func(p report.Probe) bool { return p.Address != "trusted" }, "the reason")
	other := report.Probe{Address: "doubted", Failure: netprobe.WrongServer, Identity: netprobe.IdentityMismatch, Detail: "the reason"}
	assert.DeepEqual(t, probes, []report.Probe{refused, witnessed, trusted, other})
}
