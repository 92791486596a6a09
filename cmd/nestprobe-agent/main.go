// Command nestprobe-agent is the one program that nestprobe runs in containers. It is
// static and the only file of its image. Its first argument is a role. Only the plugin
// starts it, with a role and its options. It must not import the docker CLI, so that it
// stays small and starts fast.
//
// Each role has a file, and an entry in roles.
//
// It exits with 0 when its lease, its deadline or a signal ends it, with 1 and one line
// on stderr when it could not do its work, and with 2 when its arguments are wrong.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// stdio is what a role may read and write besides the network.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// role does one kind of work until it is done or ctx ends.
type role func(ctx context.Context, args []string, std stdio) error

func roles() map[string]role {
	return map[string]role{
		"client": clientRole,
		"guard":  guardRole,
		"probe":  probeRole,
		"relay":  relayRole,
		"serve":  serveRole,
	}
}

func main() {
	log.SetOutput(io.Discard) // net/http writes there what it finds wrong with the other side
	// PID 1 of a container does not get a signal that it has no handler for, so without
	// this `docker stop` would wait and then kill the process.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], stdio{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, std stdio) int {
	err := dispatch(ctx, args, std)
	if err == nil || errors.Is(err, flag.ErrHelp) { // help was printed by the flag set
		return exitOK
	}
	// An error of stderr is ignored, since there is nowhere else to print.
	_, _ = fmt.Fprintf(std.err, "nestprobe-agent: %v\n", err)
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitFailed
}

// dispatch runs the role that the first argument names.
func dispatch(ctx context.Context, args []string, std stdio) error {
	names := strings.Join(slices.Sorted(maps.Keys(roles())), ", ")
	if len(args) == 0 {
		return usagef("no role given, expected one of: %s", names)
	}
	start, ok := roles()[args[0]]
	if !ok {
		return usagef("unknown role %q, expected one of: %s", args[0], names)
	}
	return start(ctx, args[1:], std)
}

// usageError says that the arguments are wrong.
type usageError struct{ error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}
