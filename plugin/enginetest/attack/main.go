//go:build linux

// Command attack does what nobody should do to `docker nestprobe`: it kills and interrupts
// the plugin at random instants, puts a misbehaving engine in front of the real one, and
// has it probe hostile servers. It prints, for each attack, what was left on the engine 15
// s later, which commands hung for twice their bound, which crashed or exited with a wrong
// status, which wrote control characters, and how much memory the largest took. It fails
// if a figure is not what docs/reliability.md promises. `make attack` calls it; it needs
// the plugin to be built, and a local engine.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/client"
)

// maxMemory is what the plugin may take, in KiB, whatever engines and servers send.
const maxMemory = 150 << 10

func main() {
	if len(os.Args) == 3 && os.Args[1] == serveRole {
		serve(os.Args[2])
		return
	}
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the random instants and of what is combined")
	trials := flag.Int("trials", 100, "kills of each command; half as many interrupts")
	parallel := flag.Int("parallel", 4, "trials at the same time")
	limit := flag.Duration("limit", 15*time.Minute, "of the whole attack; what does not fit is left out")
	only := flag.String("only", "", "only attacks whose name contains this")
	plugin := flag.String("plugin", "bin/docker-nestprobe", "the plugin to attack")
	socket := flag.String("socket", "/var/run/docker.sock", "of the engine")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	fmt.Printf("seed %d\n", *seed)
	r, err := newRange(ctx, *plugin, *socket, *parallel, *seed)
	if err == nil {
		err = errors.Join(r.attackAll(ctx, *trials, *only), r.close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
		os.Exit(1) //nolint:gocritic // the engine is clean, and stop only restores signal handling
	}
}

// firingRange is where trials take place: an engine with an image of hostile servers.
type firingRange struct {
	plugin, folder string
	engine         *client.Client
	socket         string
	image          string
	parallel       int
	settle         time.Duration // from the end of a command until what it left is counted

	mu     sync.Mutex
	random *rand.Rand
}

func newRange(ctx context.Context, plugin, socket string, parallel int, seed uint64) (*firingRange, error) {
	path, err := filepath.Abs(plugin)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("%w: run make build first", err)
	}
	engine, err := client.NewClientWithOpts(client.WithHost("unix://"+socket), client.WithAPIVersionNegotiation())
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "nestprobe-attack-")
	if err != nil {
		return nil, err
	}
	r := &firingRange{plugin: path, folder: folder, engine: engine, socket: socket, parallel: parallel, settle: settleLimit, random: rand.New(rand.NewPCG(seed, 0))} //nolint:gosec // it must be repeatable
	if r.image, err = loadOwnImage(ctx, engine); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *firingRange) close() error { return errors.Join(r.engine.Close(), os.RemoveAll(r.folder)) }

// instant is a random duration below limit.
func (r *firingRange) instant(limit time.Duration) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Duration(r.random.Int64N(int64(max(limit, 1))))
}

// figures are the results of one attack.
type figures struct {
	name                               string
	trials                             int
	made                               int // trials that made something on the engine
	left, hung, crashed, unsafe, wrong int
	memory                             int64 // KiB, of the largest process
	longest                            time.Duration
	notes                              []string
}

func (f *figures) add(o outcome) {
	f.trials++
	f.made += min(o.made, 1)
	f.left += min(o.left, 1)
	f.hung += count(o.hung)
	f.crashed += count(o.crashed)
	f.unsafe += count(o.unsafe)
	f.wrong += count(o.wrong)
	f.memory = max(f.memory, o.memory)
	f.longest = max(f.longest, o.took)
	if o.isBad() {
		f.notes = append(f.notes, o.String())
	}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// ok says whether the figures are what is promised.
func (f *figures) ok() bool {
	return f.trials > 0 && f.left+f.hung+f.crashed+f.unsafe+f.wrong == 0 && f.memory <= maxMemory
}

// attackAll makes the attacks one after the other, and prints a line for each. The commands of one
// begin when those of the one before have ended, while that counts what is left.
func (r *firingRange) attackAll(ctx context.Context, trials int, only string) error {
	fmt.Printf("| %-34s | %6s | %12s | %4s | %7s | %12s | %12s | %10s | %8s |\n", "attack", "trials", "left at 15 s", "hung", "crashed", "wrong status", "raw controls", "max memory", "longest")
	fmt.Println("|---|---|---|---|---|---|---|---|---|")
	target, remove, err := r.startTarget(ctx)
	if err != nil {
		return err
	}
	defer remove()
	var bad []string
	var previous *salvo // what it left is still being counted
	for _, a := range attacks(r, trials, target) {
		if !strings.Contains(a.name, only) {
			continue
		}
		next := r.launch(ctx, a)
		bad = append(bad, previous.print()...)
		previous = next
	}
	if bad = append(bad, previous.print()...); len(bad) > 0 {
		return fmt.Errorf("not as promised: %s", strings.Join(bad, ", "))
	}
	return nil
}

// salvo is an attack whose commands have ended. It counts what they have left.
type salvo struct {
	group   sync.WaitGroup
	mu      sync.Mutex
	figures figures
	err     error // of the range
}

// launch makes the trials of one attack, several in parallel, until ctx ends. It returns when
// their commands have ended.
func (r *firingRange) launch(ctx context.Context, a attack) *salvo {
	s := &salvo{figures: figures{name: a.name}}
	slots := make(chan struct{}, max(1, r.parallel*max(1, a.waits)))
	for _, t := range a.trials {
		slots <- struct{}{}
		if ctx.Err() != nil {
			<-slots
			break
		}
		s.group.Go(func() {
			o, err := r.try(context.WithoutCancel(ctx), t, sync.OnceFunc(func() { <-slots }))
			s.mu.Lock()
			defer s.mu.Unlock()
			if err != nil {
				s.err = cmp.Or(s.err, err) // an engine that is gone is reported once
				return
			}
			s.figures.add(o)
		})
	}
	for range cap(slots) {
		slots <- struct{}{}
	}
	return s
}

// wait returns the figures when everything has been counted.
func (s *salvo) wait() (*figures, error) {
	s.group.Wait()
	return &s.figures, s.err
}

// print waits, prints the figures, and returns the name of the attack if they are not as promised.
func (s *salvo) print() []string {
	if s == nil {
		return nil
	}
	f, err := s.wait()
	fmt.Printf("| %-34s | %6d | %12d | %4d | %7d | %12d | %12d | %7d MB | %8s |\n", f.name, f.trials, f.left, f.hung, f.crashed, f.wrong, f.unsafe, f.memory>>10, f.longest.Round(100*time.Millisecond))
	for _, note := range f.notes {
		fmt.Fprintf(os.Stderr, "  %s\n", note)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "  not tried: %v\n", err)
	}
	if err == nil && f.ok() {
		return nil
	}
	return []string{f.name}
}
