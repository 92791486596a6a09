package plugin

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// errInterrupted is the cause of a context that a signal cancelled.
var errInterrupted = errors.New("interrupted")

// cancelOnSignal returns a context that the first SIGINT, SIGTERM or SIGHUP cancels.
// (A closed terminal sends SIGHUP.) The second signal exits without waiting for the
// clean-up, which the reaper goes on with; see beforeExit.
//
// The goroutine ends with the process. On a terminal the plugin gets the signal.
// Otherwise the docker CLI closes the plugin's socket, and docker/cli's
// PersistentPreRunE cancels a context derived from this one.
func cancelOnSignal(parent context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(parent)
	s := &signalHandler{signals: make(chan os.Signal, 2), handled: make(chan struct{})} // so that the second signal is not lost
	s.notify(s.signals)
	// A closed output pipe must not kill the process while servers run: the write
	// returns an error instead.
	signal.Ignore(syscall.SIGPIPE)
	go func() { // owned by the process
		defer close(s.handled)
		if _, ok := <-s.signals; ok {
			cancel(errInterrupted)
		}
		if _, ok := <-s.signals; ok {
			s.beforeExit()()
			os.Exit(exitInterrupted)
		}
	}()
	return context.WithValue(ctx, signalHandlerKey{}, s)
}

// signalHandler has the signals of a command.
type signalHandler struct {
	signals chan os.Signal
	handled chan struct{} // closed after signals, when all of them have been handled

	mu   sync.Mutex
	last func() // see beforeExit
}

// beforeExit sets what a second interrupt does before it exits.
func beforeExit(ctx context.Context, last func()) {
	if s, ok := ctx.Value(signalHandlerKey{}).(*signalHandler); ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.last = last
	}
}

func (s *signalHandler) beforeExit() func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		return func() {}
	}
	return s.last
}

type signalHandlerKey struct{}

func (*signalHandler) notify(signals chan<- os.Signal) {
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
}

// handleSignals returns when each signal that the process has got so far has had its effect
// on ctx. From then on the first signal exits: nothing is left to clean up.
func handleSignals(ctx context.Context) {
	s, ok := ctx.Value(signalHandlerKey{}).(*signalHandler)
	if !ok {
		return
	}
	later := make(chan os.Signal, 1)
	s.notify(later)
	signal.Stop(s.signals) // waits for those that are being delivered
	close(s.signals)
	<-s.handled
	go func() { // owned by the process
		<-later
		os.Exit(exitInterrupted)
	}()
}
