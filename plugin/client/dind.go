package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/candidates"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// VantageDind is the vantage of a client in the nested engine's network namespace.
const VantageDind = "dind"

// nestedHost is where a nested engine listens in its container. It listens nowhere else:
// its API gives every client the rights of its privileged container.
const nestedHost = "tcp://127.0.0.1:2375"

// nestedStartTimeout is how long a nested engine may take to start. On an idle machine
// it took 2 s.
const nestedStartTimeout = 45 * time.Second

// nestedEngine is an engine in a container, a client in its network namespace that
// starts the servers, and a sibling container that probes them from outside.
type nestedEngine struct {
	run                         *run
	engineName, client, sibling string // names of containers
	job                         Job    // of the client
}

// tryNestedEngine starts a nested engine with servers, and probes these from its network
// namespace, from a sibling container, and from this process.
func (r *run) tryNestedEngine(ctx context.Context, endpoint json.RawMessage) (accessResult, error) {
	prefix := "nestprobe-" + r.labels.Run
	n := &nestedEngine{run: r, engineName: prefix + "-dind", client: prefix + "-dind-client", sibling: prefix + "-dind-sibling"}
	result, err := n.measure(ctx, endpoint)
	return result, errors.Join(err, r.remove(ctx, err != nil, n.client, n.sibling, n.engineName))
}

func (n *nestedEngine) measure(ctx context.Context, endpoint json.RawMessage) (accessResult, error) {
	var fault *report.Fault
	exited, err := n.start(ctx, endpoint)
	switch {
	case errors.As(err, &fault) && n.run.options.Access != AccessAll:
		return failedAccess(AccessDind, fault), fault // as for any image that is not available
	case errors.As(err, &fault):
		return failedAccess(AccessDind, fault), nil
	case ctx.Err() != nil: // also if the engine had just started
		return accessResult{}, context.Cause(ctx)
	case err != nil && !engine.IsEngineAnswer(err):
		return accessResult{}, err
	case err != nil:
		return unusedAccess(AccessDind, err), nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { // ends with the nested engine, or with ctx
		e := <-exited
		if e.Err != nil {
			cancel(e.Err)
			return
		}
		cancel(fmt.Errorf("the nested engine exited with code %d: see what its image needs with docker run --privileged %s", e.Code, n.run.options.DindImage))
	}()
	result, err := n.runClient(ctx)
	if err != nil && ctx.Err() == nil && !n.isRunning(ctx) {
		<-ctx.Done() // the engine's exit explains more than the error that it caused
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return result, err
}

// isRunning says whether the nested engine runs, or its state is not known.
func (n *nestedEngine) isRunning(ctx context.Context) bool {
	found, err := n.run.engine.API.ContainerInspect(ctx, n.engineName)
	return err != nil && !errdefs.IsNotFound(err) || err == nil && found.State != nil && found.State.Running
}

// start starts the nested engine, which must be privileged. Its data is in a volume,
// which is removed with it: overlay file systems do not stack.
func (n *nestedEngine) start(ctx context.Context, endpoint json.RawMessage) (<-chan engine.Exit, error) {
	r := n.run
	defer r.options.Progress.Step("Starting a nested engine")()
	image := engine.Image{Ref: r.options.DindImage, Pull: r.request.Pull}
	if _, err := image.Ensure(ctx, r.engine, r.options.Progress); err != nil {
		return nil, err
	}
	n.prepareJob(ctx, endpoint) // before anything runs: a credential helper may take long
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r.labels = r.request.Labels(r.labels.Run, time.Now(), nestedStartTimeout, r.request.PullAllowance())
	config := &container.Config{
		Image: r.options.DindImage,
		// The default listener is 0.0.0.0. Without --tls=false dockerd shows a warning about
		// plain TCP for 15 s before it starts.
		Cmd:     []string{"dockerd", "--host=" + nestedHost, "--tls=false"},
		Env:     append([]string{"DOCKER_TLS_CERTDIR="}, r.options.Env...),
		Labels:  r.labels.Values(),
		Volumes: map[string]struct{}{"/var/lib/docker": {}},
	}
	hostConfig := &container.HostConfig{Privileged: true, AutoRemove: true}
	networking := r.joinClientNetwork(hostConfig)
	creating, cancel := engine.Extend(ctx, engine.CreateGrace)
	defer cancel()
	created, err := r.engine.API.ContainerCreate(creating, config, hostConfig, networking, nil, n.engineName)
	if err != nil {
		return nil, engine.CreateFault("the nested engine", err)
	}
	exited := engine.WatchExit(ctx, r.engine.API, created.ID)
	if err := r.engine.API.ContainerStart(ctx, created.ID, container.StartOptions{}); err != nil {
		return nil, engine.StartFault("the nested engine", err)
	}
	return exited, nil
}

// runClient has the client start the servers and probe them, probes them from outside
// while they run, and then lets the client remove them.
func (n *nestedEngine) runClient(ctx context.Context) (accessResult, error) {
	r := n.run
	c := engine.NewAgentContainer(n.client, r.image, "client", r.labels)
	c.HostConfig.NetworkMode = container.NetworkMode("container:" + n.engineName)
	client, err := startWorker(ctx, r.engine, c)
	if err != nil {
		return accessResult{}, fmt.Errorf("the client container: %w", err)
	}
	defer client.end()
	if err := client.sendJob(n.job); err != nil {
		return accessResult{}, err
	}
	message, err := r.follow(client)
	if err != nil {
		return accessResult{}, err
	}
	if message.Measured == nil {
		return resultOf(ctx, AccessDind, message.Outcome)
	}
	outside, err := n.probeFromOutside(ctx, message.Measured)
	if err == nil {
		err = client.Send(Release{Release: true})
	}
	if err != nil && ctx.Err() == nil {
		return accessResult{}, err
	}
	if message, err = r.follow(client); err != nil {
		return accessResult{}, err
	}
	result, err := resultOf(ctx, AccessDind, message.Outcome)
	if result.report != nil {
		result.report.Probes = append(result.report.Probes, outside...)
		for _, vantage := range []string{probing.VantageClient, probing.Here(n.run.engine.Self).Name} {
			result.report.Best = append(result.report.Best, experiment.PickBestFrom(vantage, outside, r.request)...)
		}
	}
	return result, err
}

// prepareJob decides what the client has to do. It may run the user's credential helper.
func (n *nestedEngine) prepareJob(ctx context.Context, endpoint json.RawMessage) {
	n.job = Job{
		Run:          n.run.labels.Run,
		Request:      n.run.request,
		ServerEnv:    n.run.options.ServerEnv,
		Endpoint:     endpoint,
		StartTimeout: nestedStartTimeout,
		Vantage:      VantageDind,
		Identities:   n.run.newIdentities(),
		Debug:        slog.Default().Enabled(ctx, slog.LevelDebug),
		Hold:         true,
	}
	if n.run.request.PullAllowance() > 0 {
		n.job.addRegistryAuth(ctx, n.run.engine)
	}
}

// probeFromOutside probes the addresses of the nested engine's container, from a sibling
// container and from this process.
func (n *nestedEngine) probeFromOutside(ctx context.Context, measured *report.Report) ([]report.Probe, error) {
	api := n.run.engine.API
	response, err := api.ContainerInspect(ctx, n.engineName)
	if err != nil {
		return nil, fmt.Errorf("inspecting the nested engine: %w", err)
	}
	nested := facts.ReadContainer(response, 0)
	if err := facts.NewNetworkCache(api, nil).Complete(ctx, &nested); err != nil {
		return nil, err
	}
	sibling := engine.NewAgentContainer(n.sibling, n.run.image, "probe", n.run.labels)
	sibling.Networking = n.run.joinClientNetwork(sibling.HostConfig)
	started, err := n.run.engine.StartAgent(ctx, ctx, sibling)
	if err != nil {
		return nil, fmt.Errorf("the sibling container: %w", err)
	}
	defer started.Lease.Release()
	prober := engine.NewRemoteProber(ctx, started)
	vantages := []probing.Vantage{{Name: probing.VantageClient, Prober: prober}, probing.Here(n.run.engine.Self)}
	probes := make([][]report.Probe, len(vantages)*len(measured.Servers))
	group, ctx := errgroup.WithContext(ctx)
	for i, v := range vantages {
		for j, server := range measured.Servers {
			group.Go(func() error {
				var err error
				probes[i*len(measured.Servers)+j], err = n.probeServer(ctx, v, j, server, nested.Networks)
				return err
			})
		}
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return n.explain(nested, slices.Concat(probes...)), nil
}

// explain returns the probes with the causes of those that failed. It reports no findings: a
// nested server is meant for clients of the nested engine, so it may be unreachable from
// outside.
func (n *nestedEngine) explain(nested facts.Container, probes []report.Probe) []report.Probe {
	return diagnosis.Explain(diagnosis.Input{
		Engine: facts.NewEngine(n.run.engine.Host, n.run.engine.Loopback, n.run.description.Endpoint.Engine),
		Server: facts.NewServer(n.engineName, 0, nested),
		Vantages: []facts.Vantage{
			{Name: probing.VantageClient, Container: true, Networks: nested.Networks},
			n.here(nested),
		},
	}, probes).Probes
}

// here returns what is known of the vantage of this process.
func (n *nestedEngine) here(nested facts.Container) facts.Vantage {
	v := probing.Here(n.run.engine.Self)
	if v.Client != nil {
		known := v.Client.Vantage(v.Name)
		known.Container = true
		return known
	}
	return facts.Vantage{Name: v.Name, Foreign: v.Foreign, Routes: facts.Routes(nested.Networks), Addresses: facts.OwnAddresses()}
}

// probeServer probes one server's addresses from one vantage. The client has already
// reached the server, so there is only one second beyond a single attempt.
func (n *nestedEngine) probeServer(ctx context.Context, v probing.Vantage, index int, server report.Server, networks []facts.Network) ([]report.Probe, error) {
	request := n.run.request
	toTry := nestedCandidates(server.Published, networks, n.engineName, v)
	attempts := make([]probing.Attempt, len(toTry))
	for i, candidate := range toTry {
		attempts[i] = probing.Attempt{Candidate: candidate, Target: request.TargetAt(candidate.Address, n.job.Identities[index])}
	}
	waiting, cancel := context.WithTimeout(ctx, request.Timeout+time.Second)
	defer cancel()
	results, err := v.Race(waiting, attempts, request.Terms())
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return probing.Rows(v.Name, index, attempts, results), nil
}

// nestedCandidates returns the addresses of the nested engine's container, and from
// another container also its name, with the ports that the nested engine publishes.
func nestedCandidates(published []report.PortBinding, networks []facts.Network, name string, v probing.Vantage) []candidates.Candidate {
	var l candidates.List
	for _, b := range published {
		hostIP := facts.ParseAddr(b.HostIP)
		for _, n := range networks {
			ip := n.IPv4
			if hostIP.Is6() {
				ip = n.IPv6
			}
			l.Add(report.KindDindHost, ip, b.HostPort, "the nested engine's container on "+n.Name)
		}
		if (v.Prober != nil || v.Container != "") && !hostIP.Is6() {
			l.AddName(report.KindDindHost, name, b.HostPort, "the nested engine's container by name")
		}
	}
	return l.Candidates
}
