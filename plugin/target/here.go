package target

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/candidates"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/target/meaning"
)

// What a program learns that has only a client of the Docker API: this process probes, and
// nothing is started on the engine.

// ExplainHere is Explain for a container, from where this process is, with calls that only
// read. The Port is one of the container, not of the host. On the engine's own Linux host this
// process sees the server's sockets itself. Elsewhere nobody does, and a connection that is
// accepted and stays open counts as an answer, with an identity that is unverified. The API
// of the Engine is not used and may be nil.
//
// The last part of the time until the deadline of ctx is kept to explain failures.
func ExplainHere(ctx context.Context, reader engine.Reader, eng engine.Engine, target Target) (*report.Report, Facts, error) {
	r := newHereRun(reader, eng, target)
	err := r.finish(ctx, r.explainContainer(ctx))
	return r.report, r.facts(), err
}

// CandidatesHere returns the addresses at which this process might reach a container, the
// best first, without probing them.
func CandidatesHere(ctx context.Context, reader engine.Reader, eng engine.Engine, target Target) ([]candidates.Candidate, error) {
	r := newHereRun(reader, eng, target)
	response, err := r.meant.Find(ctx, target.Container)
	if err != nil {
		return nil, err
	}
	r.namespace = facts.NamespaceOwner(response)
	if response, r.known.NetworkOf, err = facts.WithNetworkOwner(ctx, reader, response); err != nil {
		return nil, err
	}
	port, err := targetPort(response, target)
	if err != nil {
		return nil, err
	}
	r.setServer(response, port)
	if r.known.Replicas, err = r.meant.ListReplicas(ctx, response); err != nil {
		return nil, err
	}
	if r.description, err = eng.Describe(ctx); err != nil {
		return nil, err
	}
	p, err := r.newHerePlace(ctx)
	if err != nil {
		return nil, err
	}
	return r.containerCandidates(p), nil
}

func newHereRun(reader engine.Reader, eng engine.Engine, target Target) *run {
	r := newRun(eng, target, silent{})
	r.here, r.reader = true, reader
	r.meant = meaning.NewResolver(eng, reader, target.query())
	r.networks = facts.NewNetworkCache(reader, eng.Omitted)
	return r
}

// silent is the progress of a library, which prints nothing.
type silent struct{}

func (silent) Step(string) func() { return func() {} }

func (silent) Pull(io.Reader) error { return nil }

func (silent) Note(string) {}

// terms are those of each race.
func (r *run) terms() netprobe.Race {
	return netprobe.Race{Timeout: r.target.Timeout, Options: r.target.Options}
}

// explainTime is how much of the time until a deadline is kept to explain failures, and the
// part of it that is kept at most.
const (
	explainTime = 4 * time.Second
	explainPart = 4
)

// waiting returns a context that ends when the server has had the time to answer, or when
// its container no longer runs. The caller calls stop.
func (r *run) waiting(ctx context.Context) (waiting context.Context, stop func()) {
	limit := max(r.target.Timeout, r.target.Wait)
	if deadline, ok := ctx.Deadline(); ok && r.here {
		left := time.Until(deadline)
		limit = min(limit, left-min(explainTime, left/explainPart))
	}
	waiting, cancel := context.WithTimeout(ctx, limit)
	if limit <= r.target.Timeout || !r.here {
		return waiting, cancel
	}
	var watching sync.WaitGroup
	watching.Go(func() {
		responses, errs := r.reader.ContainerWait(waiting, r.known.Container.ID, container.WaitConditionNotRunning)
		select {
		case <-responses:
			cancel()
		case <-errs: //nolint:errcheck // the end of a container that cannot be watched is seen later
		case <-waiting.Done():
		}
	})
	return waiting, func() {
		cancel()
		watching.Wait()
	}
}

// resultTime is what is left of the time until a deadline when the last probe has ended: to
// inspect the container again and to explain what was measured.
const resultTime = 500 * time.Millisecond

// fromEachInTime is fromEach. Without helpers it ends in time for a result before the
// deadline of ctx, with what is known then.
func (r *run) fromEachInTime(ctx context.Context, do func(context.Context, *place) error) error {
	deadline, ok := ctx.Deadline()
	if !ok || !r.here {
		return r.fromEach(ctx, do)
	}
	limited, cancel := context.WithDeadline(ctx, deadline.Add(-resultTime))
	defer cancel()
	err := r.fromEach(limited, do)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return nil
	}
	return err
}

// process reads the sockets of a container's network namespace through the container's first
// process, which this process sees on the engine's own Linux host.
type process struct {
	id string // of the container
	listening.Process
	*listening.TrafficReader
}

// findProcess makes the first process of the container the witness, if it is on this machine.
// In a namespace that the container shares, it does not tell who has a socket.
func (r *run) findProcess() {
	base := r.known.Container.ContainerJSONBase
	if base == nil || base.State == nil || base.State.Pid <= 0 || r.sharesNamespace() {
		return
	}
	of := listening.Process{PID: base.State.Pid}
	if p := (process{base.ID, of, of.Traffic()}); p.check() == nil {
		r.witness = p
	}
}

// check returns an error if the process is not the container's: in another PID namespace or
// on another machine the number is that of another process, or of none. The names of a
// container's control groups have its ID, and the paths of the files that its engine mounts
// into it. The mounts of other users' processes are hidden.
func (p process) check() error {
	for _, file := range []string{"cgroup", "mountinfo"} {
		signs, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.PID, file))
		if err == nil && strings.Contains(string(signs), p.id) {
			return nil
		}
	}
	return fmt.Errorf("process %d is not known to be of container %s", p.PID, shortID(p.id))
}

func (p process) Sockets(context.Context) (listening.Listeners, error) {
	if err := p.check(); err != nil {
		return listening.Listeners{}, err
	}
	return p.Process.Sockets()
}

func (p process) Baseline(_ context.Context, port uint16) (listening.Traffic, error) {
	return p.TrafficReader.Baseline(port)
}

func (p process) Traffic(_ context.Context, port uint16) (listening.Traffic, error) {
	if err := p.check(); err != nil {
		return listening.Traffic{}, err
	}
	return p.TrafficReader.Traffic(port)
}
