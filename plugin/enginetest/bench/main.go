// Command bench compares `docker nestprobe run`, `in-container` and `diagnose`, as
// whole commands, with a program that makes nothing but the API calls that they
// must make, a server's answers through the relay with those at its own address, and the
// relay with nginx. It prints the ratio of the medians. The two run in alternation, so that other load on
// the machine affects both. `make bench` calls it; it needs the plugin to be
// built, and an engine. `make trace` prints when one command makes which call.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	pairs := flag.Int("pairs", 15, "how often each pair is measured; 0 for the relay only")
	bare := flag.Int("bare", 0, "make the bare API calls for this many servers, and exit")
	nested := flag.Bool("nested", false, "make the bare API calls for a client and its server, and exit")
	helpers := flag.String("helpers", "", "make the bare API calls for helpers with these network modes, separated by commas, and exit")
	var known target
	flag.StringVar(&known.image, "image", "", "the image of the bare servers")
	flag.StringVar(&known.version, "api", "", "the API version that the bare calls are made in")
	plugin := flag.String("plugin", "bin/docker-nestprobe", "the plugin to measure")
	timeline := flag.Bool("trace", false, "print the API calls of one command on a time line instead: the arguments, such as run --servers 2")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch {
	case *timeline:
		err = trace(ctx, *plugin, flag.Args())
	case *bare > 0:
		err = bareCalls(ctx, known, *bare)
	case *nested:
		err = bareNested(ctx, known)
	case *helpers != "":
		err = bareHelpers(ctx, known, strings.Split(*helpers, ","))
	default:
		err = compareAll(ctx, *plugin, *pairs)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:gocritic // stop only restores signal handling, which ends with the process
	}
}

// comparison is one line of the result.
type comparison struct {
	name        string
	ours, floor []string // commands with their arguments
	pairs       int
	found       bool // ours exits with 1, since it finds something wrong
}

func compareAll(ctx context.Context, plugin string, pairs int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	config, err := installPlugin(plugin)
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(config) }()
	if err := os.Setenv("DOCKER_CONFIG", config); err != nil {
		return err
	}
	known, err := learnTarget(ctx)
	if err != nil {
		return err
	}
	floor := known.command(self)
	comparisons := []comparison{
		{"run, 1 server / bare API calls", []string{"docker", "nestprobe", "run"}, append(floor, "-bare", "1"), pairs, false},
		{"run, 20 servers / bare API calls", []string{"docker", "nestprobe", "run", "--servers", "20"}, append(floor, "-bare", "20"), max(1, pairs/3), false},
		{"in-container / bare API calls", []string{"docker", "nestprobe", "in-container"}, append(floor, "-nested"), pairs, false},
		{"plugin metadata / docker --version", []string{plugin, "docker-cli-plugin-metadata"}, []string{"docker", "--version"}, 2 * pairs, false},
	}
	fmt.Printf("%-36s %12s %12s %12s %8s\n", "", "nestprobe", "floor", "added", "ratio")
	if pairs == 0 {
		return compareRelay(ctx, known)
	}
	if err := printAll(ctx, comparisons); err != nil {
		return err
	}
	if err := compareDiagnose(ctx, floor, known, pairs); err != nil {
		return err
	}
	return compareRelay(ctx, known)
}

func printAll(ctx context.Context, comparisons []comparison) error {
	for _, c := range comparisons {
		ours, floor, err := c.measure(ctx)
		if err != nil {
			return err
		}
		printLine(c.name, ours, floor)
	}
	return nil
}

func printLine(name string, ours, floor time.Duration) {
	fmt.Printf("%-36s %12s %12s %12s %8.3f\n", name, roundTime(ours), roundTime(floor), roundTime(ours-floor), float64(ours)/float64(floor))
}

// roundTime rounds to what can be distinguished.
func roundTime(d time.Duration) time.Duration {
	if d.Abs() < time.Millisecond {
		return d.Round(time.Microsecond)
	}
	return d.Round(10 * time.Microsecond)
}

// installPlugin makes a docker configuration folder that has only the plugin.
func installPlugin(plugin string) (string, error) {
	path, err := filepath.Abs(plugin)
	if err != nil {
		return "", err
	}
	if _, err = os.Stat(path); err != nil {
		return "", fmt.Errorf("%w: run make build first", err)
	}
	config, err := os.MkdirTemp("", "nestprobe-bench-")
	if err != nil {
		return "", err
	}
	folder := filepath.Join(config, "cli-plugins")
	if err := os.Mkdir(folder, 0o755); err != nil { //nolint:gosec // docker reads it, whatever its user
		return "", err
	}
	return config, os.Symlink(path, filepath.Join(folder, "docker-nestprobe"))
}

// measure returns the medians of both sides. The first pair only warms up: it
// loads the image and fills caches.
func (c comparison) measure(ctx context.Context) (ours, floor time.Duration, err error) {
	var a, b []time.Duration
	for i := range c.pairs + 1 {
		tookOurs, err := wall(ctx, c.ours, c.found)
		if err != nil {
			return 0, 0, err
		}
		tookFloor, err := wall(ctx, c.floor, false)
		if err != nil {
			return 0, 0, err
		}
		if i > 0 {
			a, b = append(a, tookOurs), append(b, tookFloor)
		}
	}
	return median(a), median(b), nil
}

func wall(ctx context.Context, command []string, found bool) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // the commands are this program's own
	began := time.Now()
	out, err := cmd.CombinedOutput()
	if exit := new(exec.ExitError); found && errors.As(err, &exit) && exit.ExitCode() == 1 {
		err = nil
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return time.Since(began), nil
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
