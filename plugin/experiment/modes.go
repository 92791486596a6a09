package experiment

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/docker/docker/client"
	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// ModeSpec is one network mode to measure. Package mode has them.
type ModeSpec struct {
	Name string `json:"name"`
	// Alone names what the mode takes for itself: modes that take the same are
	// measured one after the other. Empty for nothing.
	Alone string `json:"alone"`
	Spec  Spec   `json:"spec"` // for one server
}

// modesAtOnce is how many modes are measured side by side. A server and its peer
// take the engine 0.5 s of two cores; more at once would make attempts time out.
const modesAtOnce = 4

// runModes runs the experiment once a network mode, side by side where they do not
// disturb each other. The Report is that of all the runs together. A mode that the
// engine cannot do is a result, not an error. All is well if a server is reached
// in some mode, and if it is known why not from where it is not.
func runModes(ctx context.Context, engine Engine, modes []ModeSpec, options Options) (*report.Report, error) {
	started := time.Now()
	if options.ID == "" {
		options.ID = NewID()
	}
	m := newModeRuns(ctx, engine, modes, options)
	defer options.Progress.Step("Trying " + count(len(modes), "network mode"))()
	sweep(ctx, engine.API, started, options.Progress)
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
	err := group.Wait()
	rep := m.merged()
	rep.Timings.TotalMS = milliseconds(time.Since(started))
	return rep, err
}

// queues are the indices of the modes, those that take the same in one.
func queues(modes []ModeSpec) [][]int {
	var all [][]int
	by := map[string]int{}
	for i, mode := range modes {
		at, ok := by[mode.Alone]
		if mode.Alone == "" || !ok {
			by[mode.Alone] = len(all)
			all = append(all, []int{i})
			continue
		}
		all[at] = append(all[at], i)
	}
	return all
}

// once asks an engine what it is, and for the agent's image, for all runs together:
// with the context of all of them, since one may end while the others wait.
func once(all context.Context, engine Engine) Engine {
	describe, image := engine.Describe, engine.AgentImage
	var describing, loading sync.Once
	var description Description
	var ref string
	var describeErr, imageErr error
	engine.Describe = func(context.Context) (Description, error) {
		describing.Do(func() { description, describeErr = describe(all) })
		return description, describeErr
	}
	engine.AgentImage = func(context.Context) (string, error) {
		loading.Do(func() { ref, imageErr = image(all) })
		return ref, imageErr
	}
	return engine
}

// modeRuns is the state of the runs of all modes.
type modeRuns struct {
	engine  Engine
	options Options
	results []modeRun

	slots   chan struct{} // as many as are measured at once
	making  sync.WaitGroup
	made    chan struct{} // closed when the networks are there
	longest time.Duration // that a mode may wait for its turn
}

func newModeRuns(ctx context.Context, engine Engine, modes []ModeSpec, options Options) *modeRuns {
	m := &modeRuns{
		engine:  once(ctx, engine),
		options: options,
		results: make([]modeRun, len(modes)),
		slots:   make(chan struct{}, modesAtOnce),
		made:    make(chan struct{}),
	}
	for _, mode := range modes {
		m.longest += mode.Spec.Wait
		if mode.Alone == "" {
			m.making.Add(1)
		}
	}
	go func() { // ends when each mode has made its networks or has failed to
		m.making.Wait()
		close(m.made)
	}()
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

func (m *modeRuns) turn(spec ModeSpec) *modeTurn {
	turn := &modeTurn{name: spec.Name, patience: m.longest, arrive: func() {}, slots: m.slots}
	if spec.Alone == "" {
		turn.arrive, turn.made = sync.OnceFunc(m.making.Done), m.made
	}
	return turn
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
func (m *modeRuns) run(ctx context.Context, i int, spec ModeSpec) error {
	options := m.options
	options.Progress = &modeProgress{options.Progress, spec.Name}
	options.mode = m.turn(spec)
	defer options.mode.arrive() // if it has failed before
	r := newRun(m.engine, spec.Spec, options)
	err := r.measure(ctx)
	cleanErr := r.cleanUp(ctx, err != nil)
	m.results[i] = modeRun{r.report, r.modeReport(err)}
	if ctx.Err() != nil || client.IsErrConnectionFailed(err) {
		return errors.Join(err, cleanErr)
	}
	return cleanErr
}
