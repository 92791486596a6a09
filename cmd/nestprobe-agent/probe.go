package main

import (
	"context"
	"encoding/json"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/swarm"
)

// probe tries the addresses that it is told over stdin, a JSON document a
// request, and prints what became of them, a document each. A request may also be
// for what listens where it is. Requests are worked on side by side. It ends with
// stdin. Where its environment has work for a node of a Swarm, it does that, prints
// a document a result and ends.
func probeRole(ctx context.Context, _ []string, std stdio) error {
	if work := os.Getenv(swarm.WorkVariable); work != "" {
		return probeOnNode(ctx, work, std)
	}
	group, ctx := errgroup.WithContext(ctx)
	requests := make(chan engine.ProbeRequest)
	// Like the lease of serve, this read ends with stdin or with the process.
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
				end() // whoever asked is gone
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

func probeOnNode(ctx context.Context, word string, std stdio) error {
	work, err := swarm.DecodeNodeWork(word)
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
