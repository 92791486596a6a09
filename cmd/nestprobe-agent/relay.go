package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"

	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/plugin/client"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// relayRole starts a server when a request for it arrives, and proxies HTTP and WebSocket
// to it. It ends with a Release or with stdin, unless it is kept.
func relayRole(ctx context.Context, _ []string, std stdio) error {
	return runJob(ctx, std, serveRelay)
}

// serveRelay proxies until the Release, and returns what it has measured.
func serveRelay(ctx context.Context, engine engine.Engine, j *job) (*report.Report, error) {
	// A server may take Request.Wait to answer, as for run.
	servers, err := experiment.NewOnDemandServers(ctx, engine, j.Request, j.options())
	if err != nil {
		return nil, err
	}
	proxy := newRelayProxy(ctx, servers, j.Identities)
	listener, err := listen(ctx, client.RelayPort)
	if err != nil {
		return nil, errors.Join(err, servers.Close(ctx))
	}
	server := &http.Server{
		Handler:           proxy,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		ErrorLog:          log.New(io.Discard, "", 0), // errors of clients are ignored
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
		err = j.awaitRelease(ctx, servers)
	}
	err = errors.Join(err, server.Close(), group.Wait())
	proxy.close()
	return servers.Report(), errors.Join(err, servers.Err(), servers.Close(ctx))
}

// awaitRelease returns when the relay has to end. A relay that is kept sends its outcome
// and goes on until it is stopped.
func (j *job) awaitRelease(ctx context.Context, servers *experiment.OnDemandServers) error {
	select {
	case release := <-j.released:
		if !release.Keep {
			return nil
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	outcome := outcome(true, servers.Report(), servers.Err())
	if err := j.out.send(client.Message{Outcome: &outcome}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
