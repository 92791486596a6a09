// Package client measures from client containers that have access to the Docker API:
// how each gets it (see [Access]), which servers it starts, and at which addresses it
// reaches them. It also measures from the network of a running container
// ([RunFromContainer]).
//
// The command in-container calls it. The agent, which runs in the client containers,
// shares the documents of protocol.go with it. The package must not know of
// docker/cli, of flags, or of how a Report is shown.
package client

import (
	"context"
	"sync"
	"time"

	"github.com/docker/go-connections/nat"
	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Options say what the client container is and how it gets the Docker API.
type Options struct {
	Progress engine.Progress
	ID       string // of the run, for names and labels
	// OnMeasured is called with the Report when a client has measured and is still to be
	// removed, unless others follow or it is kept. It may be nil.
	OnMeasured func(measured *report.Report)

	Access     Access
	Endpoint   connection.Settings // of the user
	SocketPath string              // of the engine's socket on the engine's host; empty: worked out from Endpoint

	Relay bool // the client starts servers on demand and proxies to them
	// RelayPublish is where the relay's port is published; nil: where only this machine
	// reaches it, or on a remote engine at the address of the endpoint's host.
	RelayPublish *nat.PortMapping

	ServerEnv []string // see experiment.Options

	DindImage string // of the nested engine

	Image   string // of the client, if the user chose one; empty for the built-in one
	Env     []string
	User    string // empty for root
	Network experiment.Network
}

// Run has client containers run the experiment, one for each access to try. Its
// Report and its error are those of [experiment.Run]. An access that does not work is
// a result, not an error.
func Run(ctx context.Context, eng engine.Engine, request experiment.Request, options Options) (*report.Report, error) {
	started := time.Now()
	r := &run{
		engine:  eng,
		request: request,
		options: options,
		report:  report.New("in-container"),
		partial: report.New("in-container"),
		labels:  engine.Labels{Run: options.ID}, // each client has the rest
		scope:   engine.NewScope(),
	}
	starting := make(chan struct{})
	r.starting, r.begin = starting, sync.OnceFunc(func() { close(starting) })
	err := r.measure(ctx)
	r.report.Timings.TotalMS = report.Milliseconds(time.Since(started))
	return r.report, err
}

// run is the state of one Run.
type run struct {
	engine  engine.Engine
	request experiment.Request
	options Options
	report  *report.Report
	labels  engine.Labels
	scope   *engine.Scope

	starting <-chan struct{} // closed when a client is about to be started
	begin    func()          // closes starting; it may be called several times
	describe func() error    // returns when description is known

	image       string // of the client
	binary      []byte // of the agent, if the client's image does not have it
	description connection.Description
	modesOK     bool           // a client has found all network modes as expected
	partial     *report.Report // what clients have reported before their outcomes
}

// measure prepares the client's image and tries the accesses. What is not needed to create
// a client is read while that starts.
func (r *run) measure(ctx context.Context) error {
	if r.options.Image != "" {
		r.begin() // a pull may take long
	}
	group, ctx := errgroup.WithContext(ctx)
	var describing errgroup.Group
	describing.Go(func() error {
		<-r.starting
		var err error
		r.description, err = r.engine.Describe(ctx)
		r.report.Endpoint = r.description.Endpoint
		return err
	})
	r.describe = func() error {
		r.begin()
		return describing.Wait()
	}
	group.Go(func() error {
		<-r.starting
		return engine.RemoveLeftovers(ctx, r.engine, r.options.ID, time.Now(), r.options.Progress)
	})
	group.Go(func() error {
		err := r.prepareImage(ctx)
		if err == nil {
			err = r.tryAccesses(ctx)
		}
		_ = r.describe() // the Report describes the engine after an error too
		return err
	})
	return group.Wait()
}

// prepareImage makes the client's image available.
func (r *run) prepareImage(ctx context.Context) error {
	var err error
	if r.options.Image == "" {
		r.image, err = r.engine.AgentImage(ctx)
		return err
	}
	r.image = r.options.Image
	image := engine.Image{Ref: r.image, Pull: r.request.Pull}
	if _, err = image.Ensure(ctx, r.engine, r.options.Progress); err != nil {
		return err
	}
	r.binary, err = r.engine.AgentBinary(ctx)
	return err
}

// allReached says whether every server has a best address: from the host for a relay,
// otherwise from a client.
func (r *run) allReached() bool {
	reached := map[int]bool{}
	for _, best := range r.report.Best {
		if !r.options.Relay || best.Vantage == probing.Here(r.engine.Self).Name {
			reached[best.Server] = true
		}
	}
	return len(r.report.Servers) > 0 && len(reached) == len(r.report.Servers)
}

// remove removes containers by their names, and everything else of the run that is
// still there: a client that was killed has not removed what it started. One that has not
// failed makes nothing any more, so that the rest is looked for in parallel.
func (r *run) remove(ctx context.Context, failed bool, names ...string) error {
	scope := r.scope.Part()
	scope.Undo(func(ctx context.Context) error {
		var group errgroup.Group // without a context, which its first Wait would cancel
		group.Go(func() error {
			for _, name := range names {
				if err := engine.RemoveContainer(ctx, r.engine.API, name, nil); err != nil {
					return err
				}
			}
			return nil
		})
		if failed {
			if err := group.Wait(); err != nil {
				return err
			}
		}
		group.Go(func() error {
			_, err := engine.RemoveRun(ctx, r.engine, r.options.ID, names...)
			return err
		})
		return group.Wait()
	})
	return scope.Close(ctx, failed)
}
