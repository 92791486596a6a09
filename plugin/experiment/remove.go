package experiment

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// cleanUp removes what the run made, even if ctx has ended; see engine.Scope.
func (r *run) cleanUp(ctx context.Context, failed bool) error {
	if r.plan.Keep && !failed {
		return nil
	}
	began := time.Now()
	defer func() { r.report.Timings.CleanupMS = report.Milliseconds(time.Since(began)) }()
	defer r.progress.Step("Removing " + engine.Plural(len(r.servers), "server"))()
	return r.scope.Close(ctx, failed)
}

// removeContainers removes the servers and the peer.
func (r *run) removeContainers(ctx context.Context) error {
	var group errgroup.Group
	group.Go(func() error { return r.removePeer(ctx) })
	for _, s := range r.servers {
		if s.taken {
			continue
		}
		group.Go(func() error {
			defer s.releaseLease()
			return engine.RemoveContainer(ctx, r.engine.API, s.name)
		})
	}
	return group.Wait()
}

// removeNetworks removes the temporary networks, which are no longer in use.
func (r *run) removeNetworks(ctx context.Context) error {
	for _, name := range r.temporary.Made {
		if err := engine.RemoveNetwork(ctx, r.engine.API, name); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) releaseLease() {
	if s.lease != nil {
		s.lease.Release()
	}
}
