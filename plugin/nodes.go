package plugin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/docker/cli/cli/command"
	"github.com/spf13/pflag"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/engine/agentimage"
	"github.com/nestprobe/docker-nestprobe/plugin/engine/agentimage/agents"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/swarm"
)

// nodesFlag is the flag that measures the nodes of a Swarm.
const nodesFlag = "nodes"

// checkNodes rejects what cannot be used with --nodes, which starts the built-in
// server on each node, on an overlay network and with a published port.
func checkNodes(flags *pflag.FlagSet, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("conflicting options: --%s starts the built-in server and cannot be used with IMAGE", nodesFlag)
	}
	var err error
	options := pflag.NewFlagSet("", pflag.ContinueOnError)
	newRunOptions().install(options)
	options.VisitAll(func(f *pflag.Flag) {
		if flags.Changed(f.Name) && !slices.Contains(flagsForNodes, f.Name) {
			err = fmt.Errorf("conflicting options: --%s cannot be used with --%s", f.Name, nodesFlag)
		}
	})
	return err
}

// flagsForNodes are the flags of run that --nodes knows. What they say is public: a
// Swarm keeps it in the definition of a service.
var flagsForNodes = []string{
	"port", "path", "scheme", "method", "expect-status", "expect-body", "websocket", "wait", "timeout", "format", "no-trunc", "quiet",
}

// runOnNodes returns the function that measures for run --nodes.
func runOnNodes(dockerCLI command.Cli) func(context.Context, session, experiment.Request) (*report.Report, error) {
	return func(ctx context.Context, s session, request experiment.Request) (*report.Report, error) {
		return swarm.Run(ctx, s.engine, request, swarm.Options{
			Progress: s.progress,
			Manager:  s.connection.API,
			Reach: func(ctx context.Context, nodes []string) map[string]swarm.ReachedNode {
				return loadOnNodes(ctx, dockerCLI, nodes)
			},
			AgentReference: func(os, arch string) (string, error) {
				return agentimage.Reference(agents.Files, os, arch)
			},
		})
	}
}

const (
	// nodeAnswerTimeout is how long an engine may take to answer. A context without an
	// answer delays the others no longer.
	nodeAnswerTimeout = 5 * time.Second
	// nodeLoadTimeout limits the upload of the agent image to a node.
	nodeLoadTimeout = time.Minute
)

// loadOnNodes finds the user's contexts whose engine is one of the nodes, and loads
// the agent image there. It ignores contexts without an answer, and those of other
// engines.
func loadOnNodes(ctx context.Context, dockerCLI command.Cli, nodes []string) map[string]swarm.ReachedNode {
	reached := map[string]swarm.ReachedNode{}
	var mu sync.Mutex
	var group sync.WaitGroup
	for _, c := range endpoint.Contexts(dockerCLI) { // diagnose reports damaged ones
		group.Go(func() {
			node, found := reachNode(ctx, dockerCLI, c.Name, nodes)
			mu.Lock()
			defer mu.Unlock()
			if other, known := reached[node]; found.Context != "" && (!known || other.Err != nil) {
				reached[node] = found
			}
		})
	}
	group.Wait()
	return reached
}

// reachNode returns the node of a context, if it is one of nodes.
func reachNode(ctx context.Context, dockerCLI command.Cli, name string, nodes []string) (id string, found swarm.ReachedNode) {
	resolved, err := endpoint.ResolveContext(dockerCLI, name, nil)
	if err != nil {
		return "", found
	}
	resolved.Settings = resolved.WithAnswerTimeout(nodeAnswerTimeout)
	limited, cancel := context.WithTimeout(ctx, nodeAnswerTimeout)
	defer cancel()
	opened, err := resolved.Connect(limited)
	if err != nil {
		return "", found
	}
	defer opened.Close()
	info, err := opened.API.Info(limited)
	if err != nil || !slices.Contains(nodes, info.Swarm.NodeID) {
		return "", found
	}
	found.Context = name
	found.Image, found.Err = loadOnNode(ctx, opened)
	return info.Swarm.NodeID, found
}

// loadOnNode loads the agent image on a node and returns the image's id there.
func loadOnNode(ctx context.Context, opened *connection.Connection) (string, error) {
	loading, cancel := context.WithTimeoutCause(ctx, nodeLoadTimeout, errors.New("loading the agent image took too long"))
	defer cancel()
	ref, err := loadAgentImage(loading, opened)
	if err != nil {
		return "", err
	}
	found, err := opened.API.ImageInspect(loading, ref)
	return found.ID, err
}
