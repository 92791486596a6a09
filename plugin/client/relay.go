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

// VantageRelay is the vantage of a client that proxies to its servers.
const VantageRelay = "relay"

// publishRelay publishes the relay's port on all addresses, at a host port that the
// engine chooses.
func publishRelay(c engine.AgentContainer) {
	port := facts.TCPPort(RelayPort)
	c.Config.ExposedPorts = nat.PortSet{port: {}}
	c.HostConfig.PortBindings = nat.PortMap{port: {{}}}
	// Docker's default. Without it Podman 4.3 was seen to kill immediately, and the
	// relay has servers to remove.
	seconds := 10
	c.Config.StopTimeout = &seconds
}

// newIdentities makes identities for the servers of a client, so that this process
// recognises their answers too.
func (r *run) newIdentities() []string {
	identities := make([]string, r.request.Servers)
	for i := range identities {
		identities[i] = engine.NewToken(engine.IdentityBytes)
	}
	return identities
}

// runRelay waits until the relay is ready and probes the servers through it.
func (r *run) runRelay(ctx context.Context, access Access, relay *worker, identities []string) (accessResult, error) {
	message, err := r.follow(relay)
	if err != nil {
		return accessResult{}, err
	}
	if !message.Ready {
		return resultOf(ctx, access, message.Outcome)
	}
	probes, outcome, err := r.probeAndRelease(ctx, relay, identities)
	if err != nil && (outcome == nil || ctx.Err() == nil) {
		return accessResult{}, err
	}
	result, err := resultOf(ctx, access, outcome)
	if result.report != nil {
		result.report.Probes = append(result.report.Probes, probes...)
		result.report.Best = append(experiment.PickBestFrom(experiment.Here(r.engine.Self).Name, probes, r.request), result.report.Best...)
		result.kept = r.request.Keep
	}
	return result, err
}

// probeAndRelease probes through the relay, releases it, and returns the Outcome that the
// relay then sends. If the relay ends earlier, so does the probing.
func (r *run) probeAndRelease(ctx context.Context, relay *worker, identities []string) ([]report.Probe, *Outcome, error) {
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
			return fmt.Errorf("container %s was stopped by another process, or because the engine shuts down: run the command again", relay.Name)
		}
		return nil
	})
	group.Go(func() error {
		var err error
		if probes, err = r.probeThroughRelay(ctx, relay, identities); err == nil {
			released.Store(true)
			err = relay.Send(Release{Keep: r.request.Keep, Release: true})
		}
		if err != nil && ctx.Err() == nil {
			relay.Lease.Release() // ends follow
		}
		return err
	})
	err := group.Wait()
	return probes, outcome, err
}

// probeThroughRelay probes every server through the relay from this process. The relay
// starts a server on its first request.
func (r *run) probeThroughRelay(ctx context.Context, relay *worker, identities []string) ([]report.Probe, error) {
	response, err := r.engine.API.ContainerInspect(ctx, relay.ID)
	if err != nil {
		return nil, fmt.Errorf("inspecting the relay: %w", err)
	}
	facts := facts.ReadContainer(response, RelayPort).Addresses
	if len(facts.Bindings) == 0 {
		return nil, &report.Fault{
			Cause:    diagnosis.PortNotPublished,
			Evidence: []string{fmt.Sprintf("container %s has no published port, on network %s", relay.Name, response.HostConfig.NetworkMode)},
			Hint:     "put the relay on a network that publishes ports: not an internal network, none or host",
			Err:      errors.New("the relay cannot be reached from here"),
		}
	}
	defer r.options.Progress.Step("Waiting for an answer through the relay")()
	servers := r.relayAttempts(facts, identities)
	// The relay waits as long for a server that it starts: it has the same Request.
	waiting, cancel := context.WithTimeout(ctx, r.request.Wait)
	defer cancel()
	here := experiment.Here(r.engine.Self)
	// One race for each server: an answer from one proves nothing about the others.
	probes := make([][]report.Probe, len(servers))
	var races sync.WaitGroup
	for i, attempts := range servers {
		races.Go(func() {
			results := experiment.RaceOf(attempts, netprobe.Race{Timeout: r.request.Timeout, ThroughGateway: true}).Run(waiting)
			probes[i] = experiment.Rows(here.Name, i, attempts, results)
		})
	}
	races.Wait()
	return slices.Concat(probes...), context.Cause(ctx)
}

// relayAttempts returns attempts at the relay's published addresses, for each server.
func (r *run) relayAttempts(facts facts.Addresses, identities []string) [][]experiment.Attempt {
	facts.EngineHost = r.engine.Host
	facts.HostAddresses = r.engine.HostAddresses
	facts.NodeAddress = r.description.NodeAddress
	facts.Desktop = r.description.Endpoint.Engine.Desktop
	here := experiment.Here(r.engine.Self)
	if here.Client != nil {
		facts.Client = here.Client.Networks
	}
	attempts := make([][]experiment.Attempt, len(identities))
	for i, identity := range identities {
		prefix := fmt.Sprintf("/servers/%d", i+1)
		for _, candidate := range here.Candidates(facts) {
			alias := candidate.Kind == report.KindPublishedHostAlias && candidate.Elsewhere
			if alias || !strings.HasPrefix(string(candidate.Kind), "published-") {
				continue
			}
			candidate.Kind = report.KindRelay
			target := r.request.TargetAt(candidate.Address, identity)
			target.Path = prefix + target.Path
			if target.WebSocket != "" {
				target.WebSocket = prefix + target.WebSocket
			}
			attempts[i] = append(attempts[i], experiment.Attempt{Candidate: candidate, Target: target})
		}
	}
	return attempts
}
