package experiment

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/docker/docker/client"
	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// ModeRequest is one network mode to measure. See NetworkModes.
type ModeRequest struct {
	Name string `json:"name"`
	// Exclusive names a resource that only one mode can use: modes with the same one are
	// measured one after the other. Empty for none.
	Exclusive  string     `json:"exclusive"`
	Connection Connection `json:"connection"`
}

// parallelModes is how many modes are measured in parallel. A server and its peer take
// the engine 0.5 s of two cores; with more in parallel, attempts would time out.
const parallelModes = 4

// runModes runs the experiment once for each network mode, in parallel if the modes do not
// disturb each other. The Report is that of all runs together. A mode that the engine does
// not support is a result, not an error, unless it supports none. The Report's OK is true
// if a server is reached in some mode, and the cause is known wherever it is not reached.
func runModes(ctx context.Context, eng engine.Engine, request Request, options Options) (*report.Report, error) {
	started := time.Now()
	m := newModeRuns(newRun(withSharedRequests(ctx, eng), request, options))
	err := m.measure(ctx)
	if err == nil {
		err = noneMeasured(m.results)
	}
	rep := mergeReports(m.results)
	rep.Timings.ImageMS = m.shared.report.Timings.ImageMS
	rep.Timings.TotalMS = report.Milliseconds(time.Since(started))
	return rep, err
}

// measure makes the image available, which all modes need, and measures the modes.
func (m *modeRuns) measure(ctx context.Context) error {
	r := m.shared
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return engine.RemoveLeftovers(ctx, r.engine, r.options.ID, time.Now(), r.options.Progress)
	})
	group.Go(func() error {
		began := time.Now()
		err := r.completePlan(ctx)
		r.report.Timings.ImageMS = report.Milliseconds(time.Since(began))
		if err != nil {
			return err
		}
		return m.measureAll(ctx, r.request.Modes)
	})
	return group.Wait()
}

// measureAll measures the modes. The image is on the engine.
func (m *modeRuns) measureAll(ctx context.Context, modes []ModeRequest) error {
	defer m.shared.options.Progress.Step("Trying " + engine.Plural(len(modes), "network mode"))()
	group, ctx := errgroup.WithContext(ctx)
	for _, sequence := range groupByExclusive(modes) {
		group.Go(func() error {
			for _, i := range sequence {
				if err := m.run(ctx, i, modes[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return errors.Join(group.Wait(), errors.Join(m.leftBehind...))
}

// groupByExclusive returns the indices of the modes in groups that can be measured in
// parallel; the modes of one group share an exclusive resource.
func groupByExclusive(modes []ModeRequest) [][]int {
	var all [][]int
	by := map[string]int{}
	for i, mode := range modes {
		at, ok := by[mode.Exclusive]
		if mode.Exclusive == "" || !ok {
			by[mode.Exclusive] = len(all)
			all = append(all, []int{i})
			continue
		}
		all[at] = append(all[at], i)
	}
	return all
}

// withSharedRequests returns the engine for several runs in parallel. It is described
// once for all. Both requests use the context of all runs, since one run may end while the
// others wait.
func withSharedRequests(all context.Context, engine engine.Engine) engine.Engine {
	describe, image := engine.Describe, engine.AgentImage
	once := sync.OnceValues(func() (connection.Description, error) { return describe(all) })
	engine.Describe = func(context.Context) (connection.Description, error) { return once() }
	engine.AgentImage = func(context.Context) (string, error) { return image(all) }
	return engine
}

// modeRuns is the state of the runs of all modes.
type modeRuns struct {
	shared  *run // what the modes share: its Plan is without their Connection
	results []modeRun

	slots chan struct{} // one place for each mode that is measured in parallel
	made  chan struct{} // closed when the networks have been created

	mu         sync.Mutex
	making     int     // how many modes have not created their networks yet
	leftBehind []error // why something was left behind
}

func newModeRuns(shared *run) *modeRuns {
	m := &modeRuns{
		shared:  shared,
		results: make([]modeRun, len(shared.request.Modes)),
		slots:   make(chan struct{}, parallelModes),
		made:    make(chan struct{}),
	}
	for _, mode := range shared.request.Modes {
		if mode.Exclusive == "" {
			m.making++
		}
	}
	return m
}

// modeTurn is the turn of one mode among those that are measured in parallel. No mode
// begins before all have created their networks, except modes with an exclusive
// resource. While Docker Engine 20.10 creates a bridge, it removes the firewall rules
// that isolate networks for a moment and adds them again (libnetwork, drivers/bridge,
// setup_ip_tables.go: EnsureJumpRule). A probe at that moment reaches a server on an
// isolated network, as in one of four runs without this wait.
type modeTurn struct {
	name   string
	arrive func()
	made   <-chan struct{} // nil for a mode with an exclusive resource
	slots  chan struct{}
}

func (m *modeRuns) newTurn(mode ModeRequest) *modeTurn {
	turn := &modeTurn{name: mode.Name, arrive: func() {}, slots: m.slots}
	if mode.Exclusive == "" {
		turn.arrive, turn.made = sync.OnceFunc(m.arrived), m.made
	}
	return turn
}

// arrived counts one more mode that has created its networks, or failed to.
func (m *modeRuns) arrived() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.making--
	if m.making == 0 {
		close(m.made)
	}
}

// await returns when it is the mode's turn, which lasts until end is called.
func (t *modeTurn) await(ctx context.Context) error {
	t.arrive()
	if t.made != nil {
		select {
		case <-t.made:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	select {
	case t.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t *modeTurn) end() { <-t.slots }

// modeRun is the result of one mode.
type modeRun struct {
	report *report.Report
	mode   report.Mode
}

// run measures one mode. An error means that the others cannot be measured either.
func (m *modeRuns) run(ctx context.Context, i int, mode ModeRequest) error {
	options := m.shared.options
	options.Progress = engine.NotesOnly(options.Progress, mode.Name)
	options.mode = m.newTurn(mode)
	defer options.mode.arrive() // in case it fails before its turn
	r := newRun(m.shared.engine, m.shared.request, options)
	r.plan = m.shared.plan
	r.plan.Connection = mode.Connection
	err := r.measure(ctx)
	lost := ctx.Err() != nil || client.IsErrConnectionFailed(err)
	cleanUpErr := r.cleanUp(ctx, lost)
	if !lost || len(r.reaches) > 0 { // else it has measured nothing
		m.results[i] = modeRun{r.report, r.modeReport(err)}
		if options.OnPartialReport != nil {
			options.OnPartialReport(mergeReports(m.results[i : i+1]))
		}
	}
	if lost {
		return errors.Join(err, cleanUpErr)
	}
	if cleanUpErr != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.leftBehind = append(m.leftBehind, cleanUpErr)
	}
	return nil
}
