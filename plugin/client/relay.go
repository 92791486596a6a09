package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/docker/go-connections/nat"
	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// VantageRelay is the vantage of a runner that proxies to its servers.
const VantageRelay = "relay"

// publishRelay publishes the relay's one port, on all addresses, at a host port
// of the engine's choice.
func publishRelay(c engine.AgentContainer) {
	port := facts.TCPPort(RelayPort)
	c.Config.ExposedPorts = nat.PortSet{port: {}}
	c.HostConfig.PortBindings = nat.PortMap{port: {{}}}
	// Docker's own default, said aloud: without it Podman 4.3 was seen to kill at
	// once, and the relay has servers to remove.
	seconds := 10
	c.Config.StopTimeout = &seconds
}

// newIdentities makes identities for servers that a client starts, so that
// this process knows them too.
func (r *inContainerRun) newIdentities() []string {
	identities := make([]string, r.spec.Servers)
	for i := range identities {
		identities[i] = engine.NewToken(engine.IdentityBytes)
	}
	return identities
}

// runRelay asks through the relay once it is ready.
func (r *inContainerRun) runRelay(ctx context.Context, method Access, relay *worker, identities []string) (attempt, error) {
	message, err := r.follow(relay)
	if err != nil {
		return attempt{}, err
	}
	if !message.Ready {
		return r.judge(ctx, method, message.Outcome)
	}
	probes, outcome, err := r.askAndRelease(ctx, relay, identities)
	if err != nil && (outcome == nil || ctx.Err() == nil) {
		return attempt{}, err
	}
	result, err := r.judge(ctx, method, outcome)
	if result.report != nil {
		result.report.Probes = append(result.report.Probes, probes...)
		result.report.Best = append(experiment.PickBestFrom(experiment.VantageHost, probes, r.spec), result.report.Best...)
		result.kept = r.client.KeepRelay
	}
	return result, err
}

// askAndRelease asks through the relay, tells it that this was all, and returns
// the outcome that it then tells. Meanwhile it follows the relay, whose end is
// the end of the asking.
func (r *inContainerRun) askAndRelease(ctx context.Context, relay *worker, identities []string) ([]report.Probe, *Outcome, error) {
	var probes []report.Probe
	var outcome *Outcome
	var released atomic.Bool
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		message, err := r.follow(relay)
		if err != nil {
			return err
		}
		if outcome = message.Outcome; outcome == nil || !released.Load() {
			return fmt.Errorf("container %s was stopped by somebody else, or by an engine that shuts down: run the command again", relay.Name)
		}
		return nil
	})
	group.Go(func() error {
		var err error
		if probes, err = r.askRelay(ctx, relay, identities); err == nil {
			released.Store(true)
			err = relay.Send(Release{Keep: r.client.KeepRelay, Release: true})
		}
		if err != nil && ctx.Err() == nil {
			relay.Lease.Release() // nothing more will be followed
		}
		return err
	})
	err := group.Wait()
	return probes, outcome, err
}

// askRelay probes every server through the relay from this process, which has
// the relay start them.
func (r *inContainerRun) askRelay(ctx context.Context, relay *worker, identities []string) ([]report.Probe, error) {
	response, err := r.engine.API.ContainerInspect(ctx, relay.ID)
	if err != nil {
		return nil, fmt.Errorf("inspecting the relay: %w", err)
	}
	facts := facts.ReadContainer(response, RelayPort).Addresses
	if len(facts.Bindings) == 0 {
		return nil, &report.Fault{
			Cause:    diagnosis.PortNotPublished,
			Evidence: []string{fmt.Sprintf("container %s has no published port, on network %s", relay.Name, response.HostConfig.NetworkMode)},
			Hint:     "put the relay on a network that publishes ports: not an internal one, none or the host's",
			Err:      errors.New("the relay cannot be reached from here"),
		}
	}
	defer r.progress.Step("Waiting for an answer through the relay")()
	servers := r.relayAttempts(facts, identities)
	waiting, cancel := context.WithTimeout(ctx, r.spec.Wait)
	defer cancel()
	// One race a server: an answer of one says nothing of the others.
	probes := make([][]report.Probe, len(servers))
	var races sync.WaitGroup
	for i, attempts := range servers {
		races.Go(func() {
			results := experiment.RaceOf(attempts, netprobe.Race{Timeout: r.spec.Timeout}).Run(waiting)
			probes[i] = experiment.Rows(experiment.VantageHost, i, attempts, results)
		})
	}
	races.Wait()
	return slices.Concat(probes...), context.Cause(ctx)
}

// relayAttempts are the relay's published addresses, once for each server.
func (r *inContainerRun) relayAttempts(facts facts.Addresses, identities []string) [][]experiment.Attempt {
	facts.EngineHost = r.engine.Host
	facts.NodeAddress = r.description.NodeAddress
	facts.Desktop = r.description.Endpoint.Engine.Desktop
	attempts := make([][]experiment.Attempt, len(identities))
	for i, identity := range identities {
		prefix := fmt.Sprintf("/servers/%d", i+1)
		for _, candidate := range experiment.HostCandidates(facts) {
			if !strings.HasPrefix(string(candidate.Kind), "published-") {
				continue
			}
			candidate.Kind = report.KindRelay
			target := r.spec.Target(candidate.Address, identity)
			target.Path = prefix + target.Path
			if target.WebSocket != "" {
				target.WebSocket = prefix + target.WebSocket
			}
			attempts[i] = append(attempts[i], experiment.Attempt{Candidate: candidate, Target: target})
		}
	}
	return attempts
}
