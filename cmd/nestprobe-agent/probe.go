package main

import (
	"context"
	"encoding/json"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
	"github.com/nestprobe/docker-nestprobe/plugin/swarm"
)

// probeRole reads requests from stdin, as JSON documents, and prints a document with the
// results of each: of a race, of connections that it holds, or of the sockets of its
// network namespace. Requests are handled in parallel. It ends with stdin. If its
// environment has work for a node of a Swarm, it only does that, prints a document for
// each result and ends.
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
	var traffic listening.TrafficReader
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
			group.Go(func() error { return reply(working, request, &traffic, out) })
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

// reply prints the reply to a request.
func reply(ctx context.Context, request engine.ProbeRequest, traffic *listening.TrafficReader, out *lines) error {
	result := engine.ProbeReply{Number: request.Number}
	switch {
	case request.Hold != nil:
		return hold(ctx, request, out)
	case request.Listeners:
		found, err := readListeners(request.Own)
		result.Listeners = &engine.Read[listening.Listeners]{Found: found, Error: message(err)}
	case request.Traffic != 0:
		read := traffic.Traffic
		if request.Baseline {
			read = traffic.Baseline
		}
		found, err := read(request.Traffic)
		result.Traffic = &engine.Read[listening.Traffic]{Found: found, Error: message(err)}
	default:
		result.Results = request.Race.Run(ctx)
	}
	return out.send(result)
}

// readListeners lists the listening sockets: those of the processes in this PID namespace
// only, if that is wanted and they can be told from the others.
func readListeners(own bool) (listening.Listeners, error) {
	if !own {
		return listening.Read()
	}
	found, err := listening.ReadOwn()
	if err != nil {
		found, err = listening.Read()
		found.Unowned = true
	}
	return found, err
}

// hold opens connections, prints them, and holds them until ctx ends. Then it closes them
// and prints them again.
func hold(ctx context.Context, request engine.ProbeRequest, out *lines) error {
	held := netprobe.Hold(ctx, request.Hold.Addresses, netprobe.Options{Timeout: request.Hold.Timeout})
	defer held.Close()
	reply := engine.ProbeReply{Number: request.Number, Held: held.Connections}
	if err := out.send(reply); err != nil {
		return err
	}
	<-ctx.Done()
	reply.Held = held.Look()
	held.Close()
	return out.send(reply)
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
