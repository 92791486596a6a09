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

// ModeSpec is one network mode to measure. See NetworkModes.
type ModeSpec struct {
	Name string `json:"name"`
	// Exclusive names what the mode takes for itself: modes that take the same are
	// measured one after the other. Empty for nothing.
	Exclusive  string     `json:"exclusive"`
	Connection Connection `json:"connection"`
}

// modesAtOnce is how many modes are measured side by side. A server and its peer
// take the engine 0.5 s of two cores; more at once would make attempts time out.
const modesAtOnce = 4

// runModes runs the experiment once a network mode, side by side where they do not
// disturb each other. The Report is that of all the runs together. A mode that the
// engine cannot do is a result, not an error. All is well if a server is reached
// in some mode, and if it is known why not from where it is not.
func runModes(ctx context.Context, eng engine.Engine, spec Spec, options Options) (*report.Report, error) {
	started := time.Now()
	ctx = engine.WithBudget(ctx)
	if options.ID == "" {
		options.ID = engine.NewID()
	}
	m := newModeRuns(ctx, eng, spec, options)
	err := m.measure(ctx, spec.Modes)
	rep := merged(m.results)
	rep.Timings.TotalMS = report.Milliseconds(time.Since(started))
	return rep, err
}

// measure makes the image available, which all modes need, and measures them.
func (m *modeRuns) measure(ctx context.Context, modes []ModeSpec) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		engine.Sweep(ctx, m.engine.API, m.options.ID, time.Now(), m.options.Progress)
		return nil
	})
	group.Go(func() error {
		first := newRun(m.engine, m.spec, m.options)
		if _, err := first.image(ctx); err != nil {
			return err
		}
		m.spec.Port, m.spec.Pull = first.spec.Port, engine.PullMissing
		return m.measureAll(ctx, modes)
	})
	return group.Wait()
}

// measureAll measures the modes. The image is there.
func (m *modeRuns) measureAll(ctx context.Context, modes []ModeSpec) error {
	defer m.options.Progress.Step("Trying " + engine.Plural(len(modes), "network mode"))()
	group, ctx := errgroup.WithContext(ctx)
	for _, alike := range queues(modes) {
		group.Go(func() error {
			for _, i := range alike {
				if err := m.run(ctx, i, modes[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return errors.Join(group.Wait(), errors.Join(m.left...))
}

// queues are the indices of the modes, those that take the same in one.
func queues(modes []ModeSpec) [][]int {
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

// once asks an engine what it is for all runs together, and for the agent's image
// for one after the other, so that one of them loads it: with the context of all,
// since one may end while the others wait.
func once(all context.Context, engine engine.Engine) engine.Engine {
	describe, image := engine.Describe, engine.AgentImage
	var describing sync.Once
	var description connection.Description
	var describeErr error
	engine.Describe = func(context.Context) (connection.Description, error) {
		describing.Do(func() { description, describeErr = describe(all) })
		return description, describeErr
	}
	var loading sync.Mutex
	engine.AgentImage = func(context.Context) (string, error) {
		loading.Lock()
		defer loading.Unlock()
		return image(all)
	}
	return engine
}

// modeRuns is the state of the runs of all modes.
type modeRuns struct {
	engine  engine.Engine
	spec    Spec
	options Options
	results []modeRun

	slots chan struct{} // as many as are measured at once
	made  chan struct{} // closed when the networks are there

	mu     sync.Mutex
	making int     // how many modes have no networks yet
	left   []error // why something was left behind
}

func newModeRuns(ctx context.Context, engine engine.Engine, spec Spec, options Options) *modeRuns {
	m := &modeRuns{
		engine:  once(ctx, engine),
		spec:    spec,
		options: options,
		results: make([]modeRun, len(spec.Modes)),
		slots:   make(chan struct{}, modesAtOnce),
		made:    make(chan struct{}),
	}
	for _, mode := range spec.Modes {
		if mode.Exclusive == "" {
			m.making++
		}
	}
	return m
}

// modeTurn is the place of one mode among those that are measured together. None
// begins before the networks of all are there, but for those that wait for one
// another: while a bridge is made, Docker Engine 20.10 takes its rules that keep
// networks apart away and puts them back (libnetwork, drivers/bridge,
// setup_ip_tables.go: EnsureJumpRule), and what is tried at that moment gets
// through: seen in one of four runs that were not kept apart.
type modeTurn struct {
	name     string
	patience time.Duration // how long it may take until it is its turn
	arrive   func()
	made     <-chan struct{} // nil for a mode that waits for none
	slots    chan struct{}
}

func (m *modeRuns) turn(mode ModeSpec) *modeTurn {
	turn := &modeTurn{
		name:     mode.Name,
		patience: time.Duration(len(m.results)) * m.spec.Wait,
		arrive:   func() {},
		slots:    m.slots,
	}
	if mode.Exclusive == "" {
		turn.arrive, turn.made = sync.OnceFunc(m.arrived), m.made
	}
	return turn
}

// arrived tells that one more mode has its networks, or has failed to make them.
func (m *modeRuns) arrived() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.making--
	if m.making == 0 {
		close(m.made)
	}
}

// await returns when it is the mode's turn, which it is until end.
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

// modeRun is what became of one mode.
type modeRun struct {
	report *report.Report
	mode   report.Mode
}

// run measures one mode. An error says that the others cannot be measured either.
func (m *modeRuns) run(ctx context.Context, i int, mode ModeSpec) error {
	options := m.options
	options.Progress = &modeProgress{options.Progress, mode.Name}
	options.mode = m.turn(mode)
	defer options.mode.arrive() // if it has failed before
	spec := m.spec
	spec.Modes = nil
	spec.Networks, spec.Temporary, spec.Peer = mode.Connection.Networks, mode.Connection.Temporary, mode.Connection.Peer
	r := newRun(m.engine, spec, options)
	err := r.measure(ctx)
	lost := ctx.Err() != nil || client.IsErrConnectionFailed(err)
	left := r.cleanUp(ctx, lost)
	if !lost || len(r.reaches) > 0 { // else it has measured nothing
		m.results[i] = modeRun{r.report, r.modeReport(err)}
		if m.options.Tell != nil {
			m.options.Tell(merged(m.results[i : i+1]))
		}
	}
	if lost {
		return errors.Join(err, left)
	}
	if left != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.left = append(m.left, left)
	}
	return nil
}
