package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// relay is a runner: it starts a server when a request for it arrives, and
// passes HTTP and WebSocket through to it. Its work comes over stdin like that
// of client; it ends with a Release or with stdin, unless it is kept.
func relay(ctx context.Context, _ []string, std stdio) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in := json.NewDecoder(std.in)
	var work experiment.Work
	if err := in.Decode(&work); err != nil {
		return fmt.Errorf("reading the work: %w", err)
	}
	released := make(chan experiment.Release, 1)
	// Like the lease of serve, this read ends with stdin or with the process.
	go func() {
		var release experiment.Release
		if in.Decode(&release) != nil || !release.Release {
			cancel()
			return
		}
		released <- release
		if !release.Keep {
			_ = in.Decode(&release)
			cancel()
		}
	}()
	out := messages{newLines(std.out)}
	outcome := connected(ctx, work, func(engine experiment.Engine) (*report.Report, error) {
		return serveRelay(ctx, engine, work, out, released)
	})
	return out.send(experiment.Message{Outcome: &outcome})
}

// serveRelay relays until it is released, and returns what it has measured.
func serveRelay(ctx context.Context, engine experiment.Engine, work experiment.Work, out messages, released <-chan experiment.Release) (*report.Report, error) {
	fleet, err := experiment.NewFleet(ctx, engine, work.Spec, options(work, out))
	if err != nil {
		return nil, err
	}
	runner := newRunner(ctx, fleet, work.Identities)
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", net.JoinHostPort("", strconv.Itoa(experiment.RelayPort)))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listening on port %d: %w", experiment.RelayPort, err), fleet.Close(ctx))
	}
	server := &http.Server{
		Handler:           runner,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		ErrorLog:          log.New(io.Discard, "", 0), // bad clients are no news
	}
	var group errgroup.Group
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	err = out.send(experiment.Message{Ready: true})
	if err == nil {
		err = awaitRelease(ctx, fleet, out, released)
	}
	err = errors.Join(err, server.Close(), group.Wait())
	runner.close()
	return fleet.Report(), errors.Join(err, fleet.Err(), fleet.Close(ctx))
}

// awaitRelease returns when the relay is to end. One that is kept tells its
// outcome and goes on until it is stopped.
func awaitRelease(ctx context.Context, fleet *experiment.Fleet, out messages, released <-chan experiment.Release) error {
	select {
	case release := <-released:
		if !release.Keep {
			return nil
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	outcome := outcome(true, fleet.Report(), fleet.Err())
	if err := out.send(experiment.Message{Outcome: &outcome}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
