package plugin

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// errInterrupted is the cause of a context that a signal cancelled.
var errInterrupted = errors.New("interrupted")

// cancelOnSignal returns a context that the first SIGINT, SIGTERM or SIGHUP cancels.
// (A closed terminal sends SIGHUP.) The second signal exits immediately, without
// waiting for the clean-up: leases and deadlines then end the servers.
//
// The goroutine ends with the process. On a terminal the plugin gets the signal.
// Otherwise the docker CLI closes the plugin's socket, and docker/cli's
// PersistentPreRunE cancels a context derived from this one.
func cancelOnSignal(parent context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2) // so that the second signal is not lost
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	// A closed output pipe must not kill the process while servers run: the write
	// returns an error instead.
	signal.Ignore(syscall.SIGPIPE)
	go func() { // owned by the process
		<-signals
		cancel(errInterrupted)
		<-signals
		os.Exit(exitInterrupted)
	}()
	return ctx
}
