package plugin

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// errInterrupted is the cause of a context that a signal has ended.
var errInterrupted = errors.New("interrupted")

// interruptible returns a context that ends with the first SIGINT, SIGTERM, or
// SIGHUP, which is a terminal that was closed.
// The second one exits at once, for a user who does not want to wait for the
// clean-up; the servers' leases and deadlines do the rest then.
//
// It lasts as long as the process, which is how long a command runs. On a
// terminal the signal reaches the plugin itself; off one, the docker CLI closes
// the plugin's socket instead, which docker/cli's PersistentPreRunE turns into
// the end of a context derived from this one.
func interruptible(parent context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2) // the first must not be lost while the second arrives
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	// Output that nobody reads must not end a run with its servers running: the
	// write returns an error instead.
	signal.Ignore(syscall.SIGPIPE)
	go func() { // owned by the process
		<-signals
		cancel(errInterrupted)
		<-signals
		os.Exit(exitInterrupted)
	}()
	return ctx
}
