package keep

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/docker/docker/client"
)

const (
	// startWait bounds the start of one engine, packages fetched and commands
	// built included: 60 MB, 10 s on a good line, and 20 s of one processor.
	startWait = 10 * time.Minute
	// readyWait bounds the start of a daemon; they took 0.3 to 2.2 s.
	readyWait = 60 * time.Second
	// readyPoll is the pause between two requests to a starting daemon.
	readyPoll = 20 * time.Millisecond
)

// recipe says how an engine of a kind is started.
type recipe struct {
	kind     Kind
	version  string   // what the engine's version begins with; empty for the machine's own
	reach    Reach    // at which addresses a server on it is reached
	slot     int      // address plan of the shared engine; 0: the machine's own engine
	programs []string // what must be on the machine
	args     []string // of dockerd, besides those of start
	module   goModule // whose commands are built; none if it has no path
	bundles  []bundle // Debian packages to fetch; files of the first ones hide those of the others, and the module's hide all
	start    func(context.Context, *running) error
}

// running is an engine that is up, or being started. Its recipe fills in the
// Engine and starts the daemon; everything it makes is undone in reverse.
type running struct {
	Engine
	plan   plan
	roots  []string              // where the files of the module and of the bundles are
	names  map[string]netip.Addr // what containers can look up
	args   []string              // as the recipe has them
	image  Image                 // of a nested engine
	box    *sandbox
	daemon process

	undoing sync.Mutex // a registry and a parent may be made in parallel
	undo    []func(context.Context) error

	network func(context.Context) (string, error) // finds the engine's network namespace, if it is not its processes'
	parents parents

	registryAddr netip.Addr // where a registry is for an engine with a separate loopback
	registryOnce sync.Once
	registry     string
	registryErr  error
}

func (r *running) onStop(undo func(context.Context) error) {
	r.undoing.Lock()
	defer r.undoing.Unlock()
	r.undo = append(r.undo, undo)
}

// path is a file in the engine's private folder.
func (r *running) path(name string) string { return filepath.Join(r.Dir, name) }

// privatePrefix and a number that is used once name a private engine, so that
// nothing of one is taken for another's.
const privatePrefix = "private-"

// start starts an engine. Without an id, the engine gets a new one and a free address
// plan.
func (k *keeper) start(ctx context.Context, recipe recipe, id string, image Image) (*running, error) {
	begin := time.Now()
	slot, err := k.takeSlot(recipe.slot, id == "")
	if err != nil {
		return nil, err
	}
	if id == "" {
		id = privatePrefix + strconv.FormatUint(k.privates.Add(1), 10)
	}
	engine := &running{
		args:   recipe.args,
		Engine: Engine{ID: id, Kind: recipe.kind, Dir: filepath.Join(Dir(), id)},
		plan:   newPlan(slot),
		image:  image,
	}
	engine.onStop(func(context.Context) error {
		k.freeSlot(slot)
		return os.RemoveAll(engine.Dir)
	})
	if err := engine.prepare(ctx, recipe); err != nil {
		k.stop(context.WithoutCancel(ctx), engine)
		return nil, fmt.Errorf("starting an engine of kind %s: %w", recipe.kind, err)
	}
	k.mu.Lock()
	k.byID[engine.ID] = engine
	k.mu.Unlock()
	slog.Info("engine is up", "id", engine.ID, "version", engine.Version, "took", time.Since(begin))
	return engine, nil
}

func (r *running) prepare(ctx context.Context, recipe recipe) error {
	if err := recipe.check(); err != nil {
		return err
	}
	if err := os.Mkdir(r.Dir, 0o700); err != nil {
		return fmt.Errorf("making the engine's folder: %w", err)
	}
	if recipe.module.path != "" {
		root, err := recipe.module.build(ctx)
		if err != nil {
			return err
		}
		r.roots = append(r.roots, root)
	}
	for _, bundle := range recipe.bundles {
		root, err := bundle.fetch(ctx)
		if err != nil {
			return err
		}
		r.roots = append(r.roots, root)
	}
	return recipe.start(ctx, r)
}

// check says what is missing before anything is made.
func (r recipe) check() error {
	if err := CheckRoot(); r.slot != 0 && err != nil {
		return err
	}
	for _, program := range r.programs {
		if _, err := LookPath(program); err != nil {
			return &MissingError{Needs: program, Fix: "`go run ./plugin/enginetest/keeper install` installs what is missing in Debian"}
		}
	}
	return nil
}

// firstPrivateSlot leaves those below to the shared engines.
const firstPrivateSlot = 32

func (k *keeper) takeSlot(fixed int, private bool) (int, error) {
	if !private {
		return fixed, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for slot := firstPrivateSlot; slot < slots; slot++ {
		if !k.slots[slot] {
			k.slots[slot] = true
			return slot, nil
		}
	}
	return 0, fmt.Errorf("%d private engines are up already, there are no addresses for more", slots-firstPrivateSlot)
}

func (k *keeper) freeSlot(slot int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.slots, slot)
}

// stop undoes all that a start did, in reverse.
func (k *keeper) stop(ctx context.Context, engine *running) {
	k.mu.Lock()
	delete(k.byID, engine.ID)
	k.mu.Unlock()
	for i := len(engine.undo) - 1; i >= 0; i-- {
		if err := engine.undo[i](ctx); err != nil {
			slog.Error("taking an engine down", "id", engine.ID, "error", err)
		}
	}
}

// close takes down every engine and then the guard over their addresses.
func (k *keeper) close(ctx context.Context) {
	k.mu.Lock()
	engines := make([]*running, 0, len(k.byID))
	for _, engine := range k.byID {
		engines = append(engines, engine)
	}
	k.mu.Unlock()
	for _, engine := range engines {
		k.stop(ctx, engine)
	}
	if err := removeGuard(); err != nil {
		slog.Error("removing the guard route", "error", err)
	}
}

// stopDaemon ends the engine's daemon as an administrator would, and returns when
// no process listens: the second of two processes may end after the first.
func (r *running) stopDaemon(ctx context.Context) error {
	if err := r.box.stop(ctx, r.daemon.name); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, stopWait)
	defer cancel()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "unix", r.socketForTests())
		if err != nil {
			return ctx.Err()
		}
		_ = conn.Close()
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s ended, but another process still listens", r.daemon.name)
		case <-time.After(readyPoll):
		}
	}
}

// socketForTests is where tests reach the engine's API, whatever its clients use.
func (r *running) socketForTests() string {
	if r.API != "" {
		return r.API
	}
	return r.Socket
}

// startDaemon starts the engine's daemon and waits until it answers.
func (r *running) startDaemon(ctx context.Context) error {
	if err := r.box.start(ctx, r.daemon); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	if err := r.awaitPing(ctx); err != nil {
		return fmt.Errorf("%w; the end of its log:\n%s", err, Tail(r.daemon.log))
	}
	return nil
}

// awaitPing waits until the engine answers and notes its version.
func (r *running) awaitPing(ctx context.Context) error {
	api, err := client.NewClientWithOpts(client.WithHost("unix://"+r.socketForTests()), client.WithAPIVersionNegotiation())
	if err != nil {
		return fmt.Errorf("making a client of the engine: %w", err)
	}
	defer api.Close() //nolint:errcheck // idle connections only
	for {
		version, err := api.ServerVersion(ctx)
		if err == nil {
			r.Version = version.Version
			return nil
		}
		if state, exited := r.box.exited(ctx, r.daemon.name); exited {
			return fmt.Errorf("%s ended: %s", r.daemon.name, state)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", r.daemon.name, err)
		case <-time.After(readyPoll):
		}
	}
}

// awaitHTTP waits until a server answers, with any status.
func awaitHTTP(ctx context.Context, dial func(context.Context) (net.Conn, error)) error {
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://registry/v2/", http.NoBody)
		if err != nil {
			return err
		}
		response, err := transport.RoundTrip(request)
		if err == nil {
			return response.Body.Close()
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(readyPoll):
		}
	}
}
