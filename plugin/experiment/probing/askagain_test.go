package probing

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/candidates"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

func attemptAt(kind report.Kind, address string) Attempt {
	return Attempt{Candidate: candidates.Candidate{Kind: kind, Address: address}, Target: netprobe.Target{Address: address}}
}

func failed(a Attempt, phase netprobe.Phase, failure netprobe.Failure, status int) report.Probe {
	return report.Probe{Kind: a.Kind, Address: a.Address, Phase: phase, Failure: failure, Status: status}
}

// Only the address that came furthest is probed again, and only if no address works.
func TestQuestionsGoToOneAddress(t *testing.T) {
	t.Parallel()
	host := Vantage{Name: VantageHost}
	local, ip, gateway := attemptAt(report.KindPublishedLocalhost, "127.0.0.1:32768"), attemptAt(report.KindContainerIP, "172.17.0.2:8080"), attemptAt(report.KindPublishedGateway, "172.17.0.1:32768")
	attempts := []Attempt{ip, gateway, local}
	closed := func(a Attempt) report.Probe {
		return failed(a, netprobe.PhaseRequest, netprobe.ClosedWithoutResponse, 0)
	}
	other := failed(local, netprobe.PhaseAnswer, netprobe.WrongServer, 404)
	other.Identity = netprobe.IdentityMismatch
	for name, test := range map[string]struct {
		probes  []report.Probe
		address string // empty for none
	}{
		"the furthest":                     {[]report.Probe{closed(ip), failed(gateway, netprobe.PhaseAnswer, netprobe.NotHTTP, 0), closed(local)}, gateway.Address},
		"as far, the one that stays valid": {[]report.Probe{closed(ip), closed(gateway), closed(local)}, local.Address},
		"one works":                        {[]report.Probe{closed(ip), {Kind: local.Kind, Address: local.Address, OK: true}}, ""},
		"another server answered":          {[]report.Probe{other, closed(ip)}, ip.Address},
		"none connects":                    {[]report.Probe{failed(ip, netprobe.PhaseConnect, netprobe.Refused, 0)}, ""},
		"no probes":                        {nil, ""},
	} {
		asked := Questions(host, attempts, test.probes, netprobe.Race{Timeout: time.Second}, nil)
		assert.Check(t, is.Equal(len(asked) > 0, test.address != ""), name)
		for _, a := range asked {
			assert.Check(t, is.Equal(a.Address, test.address), name)
			assert.Check(t, is.Equal(a.Race.Attempts[0].Address, test.address), name)
		}
	}
}

func TestAskAgain(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.Host != "web" {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	t.Cleanup(server.Close)
	a := attemptAt(report.KindPublishedLocalhost, server.Listener.Addr().String())
	first := failed(a, netprobe.PhaseAnswer, netprobe.UnexpectedStatus, http.StatusForbidden)
	questions := Questions(Vantage{}, []Attempt{a}, []report.Probe{first}, netprobe.Race{Timeout: 10 * time.Second}, []string{"web"})
	answers, err := AskAgain(t.Context(), Vantage{}, questions)
	assert.NilError(t, err)
	assert.Equal(t, requests.Load(), int64(len(answers)))
	status := map[string]int{}
	for _, answer := range answers {
		assert.Check(t, answer.Failure == first.Failure && answer.Status == first.Status)
		status[answer.Host] = answer.Result.Status
	}
	assert.DeepEqual(t, status, map[string]int{"localhost": http.StatusForbidden, "web": http.StatusOK})
}

type lostProber struct{ err error }

func (p lostProber) Run(context.Context, netprobe.Race) ([]netprobe.Result, error) { return nil, p.err }

func (p lostProber) Hold(context.Context, []string, time.Duration) ([]netprobe.HeldConnection, func(context.Context) ([]netprobe.HeldConnection, error), error) {
	return nil, nil, p.err
}

// A helper that is gone, and a command that is interrupted, end it with an error.
func TestAskAgainFails(t *testing.T) {
	t.Parallel()
	lost := errors.New("the helper is gone")
	asked := []facts.SecondAnswer{{Question: netprobe.Question{Way: netprobe.AskTLS, Race: netprobe.Race{Timeout: time.Second}}}}
	_, err := AskAgain(t.Context(), Vantage{Prober: lostProber{lost}}, asked)
	assert.ErrorIs(t, err, lost)
	ctx, interrupt := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	interrupt(interrupted)
	_, err = AskAgain(ctx, Vantage{Prober: lostProber{}}, asked)
	assert.ErrorIs(t, err, interrupted)
	answers, err := AskAgain(t.Context(), Vantage{Prober: lostProber{}}, nil)
	assert.Check(t, err == nil && len(answers) == 0)
}
