package experiment

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/errdefs"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
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

// Prober runs races somewhere else than in this process.
type Prober interface {
	Run(ctx context.Context, race netprobe.Race) ([]netprobe.Result, error)
}

func (v Vantage) Candidates(f facts.Addresses) []Candidate {
	if v.Container == "" {
		return HostCandidates(f)
	}
	return ContainerCandidates(f)
}

// inspect reads the networks of the vantage's container.
func (v Vantage) inspect(ctx context.Context, api engine.API) (facts.Container, error) {
	if v.Container == "" {
		return facts.Container{}, nil
	}
	response, err := facts.InspectContainer(ctx, api, v.Container)
	if err != nil {
		return facts.Container{}, err
	}
	if response, _, err = facts.WithNetworkOwner(ctx, api, response); err != nil {
		return facts.Container{}, err
	}
	return facts.ReadContainer(response, 0), nil
}

// Attempt is one candidate, and what is probed there.
type Attempt struct {
	Candidate
	Target netprobe.Target
	Grace  time.Duration // netprobe.Attempt.Grace
}

// raceOf is the race between attempts, on the terms of the race that is given.
func RaceOf(attempts []Attempt, race netprobe.Race) netprobe.Race {
	for _, a := range attempts {
		race.Attempts = append(race.Attempts, netprobe.Attempt{Target: a.Target, Grace: a.Grace})
	}
	return race
}

// Race probes from the vantage until ctx ends or each attempt has had its last probe.
func (v Vantage) Race(ctx context.Context, attempts []Attempt, terms netprobe.Race) ([]netprobe.Result, error) {
	race := RaceOf(attempts, terms)
	if v.Prober == nil {
		return race.Run(ctx), nil
	}
	if deadline, ok := ctx.Deadline(); ok {
		race.Wait = time.Until(deadline)
	}
	return v.Prober.Run(ctx, race)
}

// fromContainer is the vantage of a container that must be running.
func ContainerVantage(ctx context.Context, api engine.API, target string) (Vantage, error) {
	response, err := api.ContainerInspect(ctx, target)
	if errdefs.IsNotFound(err) {
		return Vantage{}, fmt.Errorf("there is no container %s to ask from: docker ps lists those that run", target)
	}
	if err != nil {
		return Vantage{}, fmt.Errorf("inspecting container %s: %w", target, err)
	}
	if !facts.ReadContainer(response, 0).Running {
		return Vantage{}, fmt.Errorf("container %s is not running: start it to ask from it", target)
	}
	return Vantage{
		Name:      VantageContainer + strings.TrimPrefix(response.Name, "/"),
		Container: response.ID,
	}, nil
}
