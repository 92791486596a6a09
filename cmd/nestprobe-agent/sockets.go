package main

import (
	"context"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
)

// socketsRole prints the TCP sockets that listen in the network namespace of its
// container, as one JSON document, and ends with stdin. If stdin ends before, it prints
// nothing.
func socketsRole(ctx context.Context, _ []string, std stdio) error {
	ctx, end := lifetime(ctx, serveOptions{lease: true}, std.in)
	defer end()
	printed := make(chan error, 1)
	// Neither the request to the kernel nor the write to stdout can be interrupted. After
	// the end of the lease this goroutine ends with the process.
	go func() { printed <- newLines(std.out).send(listeners()) }()
	select {
	case err := <-printed:
		if err == nil {
			awaitStdinEnd(ctx.Done())
		}
		return err
	case <-ctx.Done():
		return nil
	}
}

func listeners() engine.ListenersReply {
	found, err := listening.Read()
	if err != nil {
		return engine.ListenersReply{Error: err.Error()}
	}
	return engine.ListenersReply{Listeners: found}
}
