package client

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// VantageRelay is the vantage of a client that proxies to its servers.
const VantageRelay = "relay"

// newIdentities makes identities for the servers of a client, so that this process
// recognises their answers too.
func (r *run) newIdentities() []string {
	identities := make([]string, r.request.Servers)
	for i := range identities {
		identities[i] = engine.NewToken(engine.IdentityBytes)
	}
	return identities
}

// runRelay sends the relay its Job, waits until it is ready, and probes the servers through
// it.
func (r *run) runRelay(ctx context.Context, access Access, worker *worker, job Job) (accessResult, error) {
	relay, err := r.newRelay(ctx, worker)
	if err != nil {
		return accessResult{}, err
	}
	job.Vantage, job.Identities, job.Relay = VantageRelay, relay.identities, relay.access
	if err := relay.sendJob(job); err != nil {
		return accessResult{}, err
	}
	message, err := r.follow(relay.worker)
	if err != nil {
		return accessResult{}, err
	}
	if !message.Ready {
		return resultOf(ctx, access, message.Outcome)
	}
	probes, outcome, err := r.probeAndRelease(ctx, relay)
	if err != nil && (outcome == nil || ctx.Err() == nil) {
		return accessResult{}, err
	}
	result, err := resultOf(ctx, access, outcome)
	if result.report != nil {
		result.report.Probes = append(result.report.Probes, probes...)
		result.report.Best = append(experiment.PickBestFrom(probing.Here(r.engine.Self).Name, probes, r.request), result.report.Best...)
		if result.kept = r.request.Keep; result.kept {
			r.options.Progress.Note(fmt.Sprintf("The relay stays open on %s until it is removed or the engine stops. Whoever has its URL can start %s.",
				strings.Join(relay.published, ", "), atMost(r.request.Servers)))
		}
	}
	return result, err
}

func atMost(servers int) string {
	if servers == 1 {
		return "its server and use it"
	}
	return fmt.Sprintf("up to %d servers and use them", servers)
}

// probeAndRelease probes through the relay, releases it, and returns the Outcome that the
// relay then sends. If the relay ends earlier, so does the probing.
func (r *run) probeAndRelease(ctx context.Context, relay *relay) ([]report.Probe, *Outcome, error) {
	var probes []report.Probe
	var outcome *Outcome
	var released atomic.Bool
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		message, err := r.follow(relay.worker)
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
		if probes, err = r.probeThroughRelay(ctx, relay); err == nil {
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

// probeThroughRelay probes every server through the relay from this process: first the
// relay itself, which then starts the servers, and at last the servers.
func (r *run) probeThroughRelay(ctx context.Context, relay *relay) ([]report.Probe, error) {
	defer r.options.Progress.Step("Waiting for an answer through the relay")()
	waiting, cancel := context.WithTimeout(ctx, r.request.Wait)
	defer cancel()
	reached := r.race(waiting, relay.attempts)
	// One after the other for each server: an answer of one proves nothing about the others.
	probes := make([][]report.Probe, len(relay.identities))
	var servers sync.WaitGroup
	for i := range relay.identities {
		servers.Go(func() { probes[i] = r.probeServer(ctx, relay, i, reached) })
	}
	servers.Wait()
	return slices.Concat(probes...), context.Cause(ctx)
}

// race probes the relay's addresses with the terms of the Request.
func (r *run) race(ctx context.Context, attempts []probing.Attempt) []netprobe.Result {
	return probing.RaceOf(attempts, netprobe.Race{Timeout: r.request.Timeout, ThroughGateway: true}).Run(ctx)
}

// probeServer starts a server and probes it at the addresses that reach the relay. The
// results are the rows of those that do not, and of the server.
func (r *run) probeServer(ctx context.Context, relay *relay, server int, reached []netprobe.Result) []report.Probe {
	here := probing.Here(r.engine.Self).Name
	attempts := relay.attemptsAt(r.request, server)
	var good []probing.Attempt
	var probes []report.Probe
	for i, result := range reached {
		if result.OK {
			good = append(good, attempts[i])
			continue
		}
		probes = append(probes, probing.Rows(here, server, attempts[i:i+1], reached[i:i+1])...)
	}
	if len(good) == 0 {
		return probes
	}
	if started := r.startServer(ctx, relay.startOf(server, good[0])); !started[0].OK {
		return append(probes, probing.Rows(here, server, good[:1], started)...)
	}
	waiting, cancel := context.WithTimeout(ctx, r.request.Wait)
	defer cancel()
	return append(probes, probing.Rows(here, server, good, r.race(waiting, good))...)
}

// startServer has the relay start a server. The relay, which has the same Request, answers
// when an address reaches the server, or with why none does.
func (r *run) startServer(ctx context.Context, start probing.Attempt) []netprobe.Result {
	limit := r.request.Wait + engine.DeadlineMargin + r.request.PullAllowance()
	return probing.RaceOf([]probing.Attempt{start}, netprobe.Race{Timeout: limit, Once: true}).Run(ctx)
}
