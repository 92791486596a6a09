package keep

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

const (
	// firstConnection is how long a keeper waits for the one that started it.
	firstConnection = 10 * time.Second
	// lockWait bounds the wait for an earlier keeper that is clearing away.
	lockWait = 50 * time.Second
)

// serve is the keeper's main function: it returns when the last connection is
// gone and everything is taken down.
func serve() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	lock, err := lockKeeper(ctx)
	if err != nil || lock == nil {
		return err
	}
	defer lock.Close() //nolint:errcheck // the kernel drops it with the process
	if err = makeDir(); err != nil {
		return err
	}
	if err = logTo(LogPath()); err != nil {
		return err
	}
	if err = os.WriteFile(pidPath(), []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		return fmt.Errorf("noting the keeper's process id: %w", err)
	}
	clearLeftovers(ctx)
	k := newKeeper()
	err = k.listen(ctx)
	// The engines are taken down in any case; the signal's context is over by then.
	k.close(context.WithoutCancel(ctx))
	removePodmanParents()
	return errors.Join(err, os.RemoveAll(Dir()))
}

// lockKeeper makes this the user's only keeper until it ends, killed or not:
// the kernel frees an abstract socket (unix(7)) with its process. A nil lock
// means that another keeper is at work.
func lockKeeper(ctx context.Context) (net.Listener, error) {
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	var config net.ListenConfig
	for {
		lock, err := config.Listen(ctx, "unix", "@"+name())
		if err == nil {
			return lock, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("locking out other keepers: %w", err)
		}
		if conn, err := dial(ctx); err == nil {
			return nil, conn.Close()
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("an earlier keeper neither serves nor ends: %w", ctx.Err())
		case <-time.After(redial):
		}
	}
}

func logTo(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600) //nolint:gosec // in the keeper's folder
	if err != nil {
		return fmt.Errorf("opening the keeper's log: %w", err)
	}
	defer file.Close() //nolint:errcheck // the copies stay
	for _, std := range []*os.File{os.Stdout, os.Stderr} {
		if err := unix.Dup3(int(file.Fd()), int(std.Fd()), 0); err != nil {
			return fmt.Errorf("opening the keeper's log: %w", err)
		}
	}
	return nil
}

// keeper is the state of the running keeper.
type keeper struct {
	recipes map[Kind]recipe
	shared  map[Kind]*sharedEngine // one entry per recipe, never changed

	privates atomic.Uint64 // how many there have been

	mu      sync.Mutex
	slots   map[int]bool        // address plans in use
	byID    map[string]*running // every engine that is up
	missing Missing             // kinds that could not be started
}

type sharedEngine struct {
	once   sync.Once
	engine *running
	err    error
}

func newKeeper() *keeper {
	k := &keeper{
		recipes: map[Kind]recipe{},
		shared:  map[Kind]*sharedEngine{},
		slots:   map[int]bool{},
		byID:    map[string]*running{},
		missing: Missing{},
	}
	for _, r := range recipes() {
		k.recipes[r.kind] = r
		k.shared[r.kind] = &sharedEngine{}
	}
	return k
}

// listen serves connections until none is left.
func (k *keeper) listen(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	_ = os.Remove(socketPath()) // of a keeper that was killed
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "unix", socketPath())
	if err != nil {
		return fmt.Errorf("listening for tests: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()

	lease := newLease(firstConnection, cancel)
	var group errgroup.Group
	for {
		conn, err := listener.Accept()
		if err != nil {
			break
		}
		if !lease.take() {
			_ = conn.Close() // no greeting: the client looks for the next keeper
			break
		}
		group.Go(func() error {
			defer lease.give()
			k.serveConn(ctx, conn)
			return nil
		})
	}
	return group.Wait()
}

// lease counts connections and calls end when the last one is gone, or when
// none came within the wait.
type lease struct {
	mu    sync.Mutex
	held  int
	over  bool
	end   func()
	first *time.Timer
}

func newLease(wait time.Duration, end func()) *lease {
	l := &lease{end: end}
	l.first = time.AfterFunc(wait, l.endIfFree)
	return l
}

// take is false when the keeper is already ending.
func (l *lease) take() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return false
	}
	l.first.Stop()
	l.held++
	return true
}

func (l *lease) give() {
	l.mu.Lock()
	l.held--
	l.mu.Unlock()
	l.endIfFree()
}

func (l *lease) endIfFree() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == 0 {
		l.over = true
		l.end()
	}
}

// serveConn answers the requests of one connection and, at its end, takes down
// the private engines that it requested.
func (k *keeper) serveConn(ctx context.Context, conn net.Conn) {
	defer conn.Close() //nolint:errcheck // nothing left to say
	// The reader below notices a client that went away while its request is
	// still being worked on.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()

	session := &session{keeper: k}
	defer func() { session.close(context.WithoutCancel(ctx)) }()
	encoder := json.NewEncoder(conn)
	if err := encoder.Encode(Reply{}); err != nil {
		return
	}
	var group errgroup.Group
	requests := make(chan Request)
	group.Go(func() error {
		defer cancel()
		defer close(requests)
		return readRequests(ctx, conn, requests)
	})
	for request := range requests {
		if err := encoder.Encode(session.answer(ctx, request)); err != nil {
			break
		}
	}
	cancel()
	if err := group.Wait(); err != nil {
		slog.Warn("a client ended with an error", "error", err)
	}
}

func readRequests(ctx context.Context, conn io.Reader, requests chan<- Request) error {
	decoder := json.NewDecoder(conn)
	for {
		var request Request
		if err := decoder.Decode(&request); err != nil {
			return ignoreEnd(ctx, err)
		}
		select {
		case requests <- request:
		case <-ctx.Done():
			return nil
		}
	}
}

// ignoreEnd is nil if a client or a keeper ended as it should.
func ignoreEnd(ctx context.Context, err error) error {
	ended := errors.Is(err, io.EOF) || ctx.Err() != nil
	if ended {
		err = nil
	}
	return err
}

// session is what one connection holds.
type session struct {
	keeper   *keeper
	private  []*running
	switches []*netSwitch
}

func (s *session) answer(ctx context.Context, request Request) Reply {
	reply, err := s.do(ctx, request)
	missing := new(MissingError)
	if errors.As(err, &missing) {
		s.keeper.noteMissing(request, *missing)
		return Reply{Error: err.Error(), Missing: missing}
	}
	if err != nil {
		slog.Error("request", "op", request.Op, "kind", request.Kind, "engine", request.Engine, "error", err)
		return Reply{Error: err.Error()}
	}
	slog.Info("request", "op", request.Op, "kind", request.Kind, "engine", request.Engine)
	return reply
}

func (s *session) do(ctx context.Context, request Request) (Reply, error) {
	switch request.Op {
	case OpHold:
		return Reply{}, nil
	case OpShared:
		return s.keeper.sharedEngine(ctx, request)
	case OpPrivate:
		return s.startPrivate(ctx, request)
	case OpStop, OpStart:
		return Reply{}, s.control(ctx, request)
	case OpRegistry:
		return s.keeper.registry(ctx, request.Engine)
	case OpParent:
		return s.keeper.parent(ctx, request.Engine)
	case OpSwarm:
		return s.startSwarm(ctx, request.Nodes)
	case OpMissing:
		return Reply{Kinds: s.keeper.missingKinds()}, nil
	}
	return Reply{}, fmt.Errorf("the keeper knows no operation %q", request.Op)
}

// noteMissing notes that a request could not be met.
func (k *keeper) noteMissing(request Request, missing MissingError) {
	what := string(cmp.Or(request.Kind, Kind(request.Op)))
	if request.Engine != "" {
		what += " of " + request.Engine
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.missing[what] = missing
}

func (k *keeper) missingKinds() Missing {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.missing)
}

// sharedEngine starts the engine of a kind once. A failure is final, so that a
// run with many tests does not wait for it many times.
func (k *keeper) sharedEngine(ctx context.Context, request Request) (Reply, error) {
	kind := request.Kind
	entry, ok := k.shared[kind]
	if !ok {
		return Reply{}, fmt.Errorf("the keeper knows no engine kind %q", kind)
	}
	entry.once.Do(func() {
		// All tests share the engine, so it starts even if the test that first
		// requested it ends.
		starting, cancel := context.WithTimeout(context.WithoutCancel(ctx), startWait)
		defer cancel()
		entry.engine, entry.err = k.start(starting, k.recipes[kind], string(kind), request.Image)
	})
	if entry.err != nil {
		return Reply{}, entry.err
	}
	return Reply{Engine: &entry.engine.Engine}, nil
}

func (s *session) startPrivate(ctx context.Context, request Request) (Reply, error) {
	kind := request.Kind
	recipe, ok := s.keeper.recipes[kind]
	if !ok {
		return Reply{}, fmt.Errorf("the keeper knows no engine kind %q", kind)
	}
	if recipe.slot == 0 {
		return Reply{}, fmt.Errorf("there is only one engine of kind %q, which all tests share", kind)
	}
	if err := recipe.check(); err != nil {
		return Reply{}, fmt.Errorf("starting an engine of kind %s: %w", kind, err)
	}
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	recipe.slot, recipe.args = 0, request.Args
	engine, err := s.keeper.start(ctx, recipe, "", request.Image)
	if err != nil {
		return Reply{}, err
	}
	s.private = append(s.private, engine)
	return Reply{Engine: &engine.Engine}, nil
}

func (s *session) control(ctx context.Context, request Request) error {
	for _, engine := range s.private {
		if engine.ID != request.Engine {
			continue
		}
		if request.Op == OpStop {
			return engine.stopDaemon(ctx)
		}
		return engine.startDaemon(ctx)
	}
	return fmt.Errorf("engine %q is not a private one of this connection", request.Engine)
}

func (s *session) close(ctx context.Context) {
	for _, engine := range s.private {
		s.keeper.stop(ctx, engine)
	}
	for _, between := range s.switches {
		if err := s.keeper.removeSwitch(between); err != nil {
			slog.Error("removing a switch", "error", err)
		}
	}
}

// engine is one that is up.
func (k *keeper) engine(id string) (*running, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	engine, ok := k.byID[id]
	if !ok {
		return nil, fmt.Errorf("the keeper has no engine %q", id)
	}
	return engine, nil
}

func (k *keeper) registry(ctx context.Context, id string) (Reply, error) {
	engine, err := k.engine(id)
	if err != nil {
		return Reply{}, err
	}
	address, err := engine.startRegistry(ctx)
	return Reply{Registry: address}, err
}
