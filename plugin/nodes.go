package plugin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/context/store"
	"github.com/spf13/pflag"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/engine/agentimage"
	"github.com/nestprobe/docker-nestprobe/plugin/engine/agentimage/agents"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/swarm"
)

// nodesFlag asks for the nodes of a Swarm.
const nodesFlag = "nodes"

// checkNodes refuses what makes no sense with --nodes: the server is the built-in
// one, once on each node, on an overlay network and at a port of the node.
func checkNodes(flags *pflag.FlagSet, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("conflicting options: --%s starts the built-in server and cannot be used with IMAGE", nodesFlag)
	}
	for _, other := range []string{
		"publish", "network", "networks", "network-driver", "parent", "subnet", "gateway", "internal", "ipv6",
		"env", "user", "platform", "pull", "add-host", "servers", "keep",
	} {
		if flags.Changed(other) {
			return fmt.Errorf("conflicting options: --%s cannot be used with --%s", other, nodesFlag)
		}
	}
	return nil
}

// runOnNodes is the experiment of run --nodes.
func runOnNodes(dockerCLI command.Cli) func(context.Context, session, experiment.Spec) (*report.Report, error) {
	return func(ctx context.Context, s session, spec experiment.Spec) (*report.Report, error) {
		return swarm.Run(ctx, s.engine, spec, swarm.Options{
			Progress: s.progress,
			Manager:  s.connection.API,
			Reach: func(ctx context.Context, nodes []string) map[string]swarm.ReachedNode {
				return reachNodes(ctx, dockerCLI, nodes)
			},
			AgentReference: func(os, arch string) (string, error) {
				return agentimage.Reference(agents.Files, os, arch)
			},
		})
	}
}

const (
	// nodePatience is how long an engine may take to answer: a dead context must not
	// hold up the others for longer.
	nodePatience = 5 * time.Second
	// nodeLoadLimit bounds the way of the image, 7 MB, to a node.
	nodeLoadLimit = time.Minute
)

// reachNodes looks through the user's contexts for the engines of nodes, and puts
// the agent image there. A context that leads nowhere, or to another engine, is of no
// interest here.
func reachNodes(ctx context.Context, dockerCLI command.Cli, nodes []string) map[string]swarm.ReachedNode {
	names, err := store.Names(dockerCLI.ContextStore())
	if err != nil {
		return nil // diagnose tells of broken contexts
	}
	reached := map[string]swarm.ReachedNode{}
	var mu sync.Mutex
	var looking sync.WaitGroup
	for _, name := range names {
		looking.Go(func() {
			node, found := reachNode(ctx, dockerCLI, name, nodes)
			mu.Lock()
			defer mu.Unlock()
			if other, known := reached[node]; found.Context != "" && (!known || other.Err != nil) {
				reached[node] = found
			}
		})
	}
	looking.Wait()
	return reached
}

// reachNode returns the node that a context leads to, if it is one of those wanted.
func reachNode(ctx context.Context, dockerCLI command.Cli, name string, nodes []string) (id string, found swarm.ReachedNode) {
	resolved, err := endpoint.ResolveContext(dockerCLI, name)
	if err != nil {
		return "", found
	}
	resolved.Settings = resolved.WithAnswerTimeout(nodePatience)
	looking, cancel := context.WithTimeout(ctx, nodePatience)
	defer cancel()
	opened, err := resolved.Connect(looking)
	if err != nil {
		return "", found
	}
	defer opened.Close()
	info, err := opened.API.Info(looking)
	if err != nil || !slices.Contains(nodes, info.Swarm.NodeID) {
		return "", found
	}
	found.Context = name
	found.Image, found.Err = loadOnNode(ctx, opened)
	return info.Swarm.NodeID, found
}

// loadOnNode puts the agent image on a node and returns its id there.
func loadOnNode(ctx context.Context, opened *connection.Connection) (string, error) {
	loading, cancel := context.WithTimeoutCause(ctx, nodeLoadLimit, errors.New("it took too long"))
	defer cancel()
	ref, err := loadAgentImage(loading, opened)
	if err != nil {
		return "", err
	}
	found, err := opened.API.ImageInspect(loading, ref)
	return found.ID, err
}
