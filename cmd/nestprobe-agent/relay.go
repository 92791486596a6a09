package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/plugin/client"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// relay is a runner: it starts a server when a request for it arrives, and
// passes HTTP and WebSocket through to it. It ends with a Release or with stdin,
// unless it is kept.
func relayRole(ctx context.Context, _ []string, std stdio) error {
	return runJob(ctx, std, serveRelay)
}

// serveRelay relays until it is released, and returns what it has measured.
func serveRelay(ctx context.Context, engine engine.Engine, j *job) (*report.Report, error) {
	fleet, err := experiment.NewOnDemandServers(ctx, engine, j.Spec, j.options())
	if err != nil {
		return nil, err
	}
	runner := newRunner(ctx, fleet, j.Identities)
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", net.JoinHostPort("", strconv.Itoa(client.RelayPort)))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listening on port %d: %w", client.RelayPort, err), fleet.Close(ctx))
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
	err = j.out.send(client.Message{Ready: true})
	if err == nil {
		err = j.awaitRelease(ctx, fleet)
	}
	err = errors.Join(err, server.Close(), group.Wait())
	runner.close()
	return fleet.Report(), errors.Join(err, fleet.Err(), fleet.Close(ctx))
}

// awaitRelease returns when the relay is to end. One that is kept tells its
// outcome and goes on until it is stopped.
func (j *job) awaitRelease(ctx context.Context, fleet *experiment.OnDemandServers) error {
	select {
	case release := <-j.released:
		if !release.Keep {
			return nil
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	outcome := outcome(true, fleet.Report(), fleet.Err())
	if err := j.out.send(client.Message{Outcome: &outcome}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
