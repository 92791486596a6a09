package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"time"

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
	proxy := newRelayProxy(ctx, servers, j.Relay, j.Identities)
	opened, err := listen(ctx, uint(j.Relay.Port))
	if err != nil {
		return nil, errors.Join(err, servers.Close(ctx))
	}
	listener := limitConnections(opened, relayConnections)
	listener.stall = stallTimeout
	server := newRelayServer(proxy)
	var group errgroup.Group
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	err = j.out.send(client.Message{Ready: true})
	if err == nil {
		err = j.awaitRelease(ctx, engine, servers)
	}
	err = errors.Join(err, server.Close(), group.Wait())
	proxy.close()
	return servers.Report(), errors.Join(err, servers.Err(), servers.Close(ctx))
}

const (
	// relayConnections are those of clients. With one to a server for each, they are below
	// 1024, the lowest default limit of open files.
	relayConnections = 400
	// relayHeaderBytes bounds the header of a request, and that of an answer. Common servers
	// take 8 to 64 KiB.
	relayHeaderBytes = 64 << 10
	// stallTimeout is how long a client may read nothing of what is sent to it; twice
	// nginx's default (send_timeout). A stream without data may last.
	stallTimeout = 2 * time.Minute
)

// newRelayServer returns the server of a relay. It has no time limit for a request or an
// answer, which may be streams.
func newRelayServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:                      handler,
		DisableGeneralOptionsHandler: true, // it would answer without the token
		ReadHeaderTimeout:            headerTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               relayHeaderBytes,
		ErrorLog:                     log.New(io.Discard, "", 0), // errors of clients are ignored
	}
}

// awaitRelease returns when the relay has to end. A relay that is kept sends its outcome
// and goes on until it is stopped.
func (j *job) awaitRelease(ctx context.Context, engine engine.Engine, servers *experiment.OnDemandServers) error {
	select {
	case release := <-j.released:
		if !release.Keep {
			return nil
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if j.needsGuard() {
		guard, err := j.startGuard(ctx, engine)
		if err != nil {
			j.out.Note("if the relay is killed, its servers stay until their deadline: " + err.Error())
		} else {
			defer guard.Lease.Release()
		}
	}
	outcome := outcome(true, servers.Report(), servers.Err())
	if err := j.out.send(client.Message{Outcome: &outcome}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
