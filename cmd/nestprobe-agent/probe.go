package main

import (
	"context"
	"encoding/json"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/swarm"
)

// probeRole reads requests from stdin, as JSON documents, and prints a document with the
// results of each. A request has a race to run, or is for the sockets that listen in its
// container. Requests are handled in parallel. It ends with stdin. If its environment
// has work for a node of a Swarm, it only does that, prints a document for each result
// and ends.
func probeRole(ctx context.Context, _ []string, std stdio) error {
	if work := os.Getenv(swarm.WorkVariable); work != "" {
		return probeOnNode(ctx, work, std)
	}
	group, ctx := errgroup.WithContext(ctx)
	requests := make(chan engine.ProbeRequest)
	// As in lifetime, this read ends with stdin or with the process.
	go func() {
		defer close(requests)
		for in := json.NewDecoder(std.in); ; {
			var request engine.ProbeRequest
			if in.Decode(&request) != nil {
				return
			}
			requests <- request
		}
	}()
	out := newLines(std.out)
	ctx, end := context.WithCancel(ctx)
	defer end()
	stops := map[int]context.CancelFunc{}
	for {
		select {
		case request, ok := <-requests:
			if !ok {
				end() // the plugin has closed stdin
				return group.Wait()
			}
			if stop := stops[request.Number]; stop != nil && request.Stop {
				stop()
				continue
			}
			working, stop := context.WithCancel(ctx)
			stops[request.Number] = stop
			group.Go(func() error { return out.send(answerTo(working, request)) })
		case <-ctx.Done():
			return group.Wait()
		}
	}
}

func probeOnNode(ctx context.Context, encoded string, std stdio) error {
	work, err := swarm.DecodeNodeWork(encoded)
	if err != nil {
		return err
	}
	out := newLines(std.out)
	for _, result := range work.Do(ctx) {
		if err := out.send(result); err != nil {
			return err
		}
	}
	return nil
}

func answerTo(ctx context.Context, request engine.ProbeRequest) engine.ProbeReply {
	reply := engine.ProbeReply{Number: request.Number}
	if request.Listeners {
		found := listeners()
		reply.Listeners = &found
		return reply
	}
	reply.Results = request.Race.Run(ctx)
	return reply
}
