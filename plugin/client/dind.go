package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// AccessDind is a Docker API of the client's own: that of a nested engine.
const AccessDind Access = "dind"

// VantageDind is the vantage of a process beside the nested engine, in its
// container.
const VantageDind = "dind"

// NestedEndpoint is where a nested engine listens in its own container, and nowhere
// else: its API gives whoever reaches it the rights of its privileged container.
const NestedEndpoint = "tcp://127.0.0.1:2375"

// nestedCommand has the entry point of docker:dind start an engine with no other
// listeners than are named here (its own default is 0.0.0.0). --tls=false is what
// dockerd wants said of plain TCP, or it waits 15 s for somebody to read its warning.
func nestedCommand() []string {
	return []string{"dockerd", "--host=" + NestedEndpoint, "--tls=false"}
}

// nestedPatience is how long a nested engine may take to start: 2 s were
// measured on an idle machine.
const nestedPatience = 45 * time.Second

// dind is an attempt with a nested engine: its container, a client beside it
// that starts the servers, and a sibling that asks from outside of it.
type dind struct {
	run                         *inContainerRun
	engineName, client, sibling string // names of containers
	identities                  []string
	work                        Work // of the client
}

// tryDind starts a nested engine and asks for a server of its from beside it,
// from a container next to it, and from here.
func (r *inContainerRun) tryDind(ctx context.Context) (attempt, error) {
	prefix := "nestprobe-" + r.labels.Run
	d := &dind{run: r, engineName: prefix + "-dind", client: prefix + "-dind-client", sibling: prefix + "-dind-sibling"}
	d.identities = r.newIdentities()
	result, err := d.attempt(ctx)
	return result, errors.Join(err, r.remove(ctx, err != nil, d.client, d.sibling, d.engineName))
}

func (d *dind) attempt(ctx context.Context) (attempt, error) {
	var fault *report.Fault
	exited, err := d.startEngine(ctx)
	switch {
	case errors.As(err, &fault) && d.run.client.Access != AccessAll:
		return failed(AccessDind, fault), fault // as any image that is not to be had
	case errors.As(err, &fault):
		return failed(AccessDind, fault), nil
	case ctx.Err() != nil: // perhaps when it had just been started
		return attempt{}, context.Cause(ctx)
	case err != nil && !engine.IsEngineAnswer(err):
		return attempt{}, err
	case err != nil:
		return attempt{access: report.Access{Method: string(AccessDind), Detail: netprobe.Visible(err.Error(), report.MaxLine)}}, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { // ends with the nested engine, or with its watch
		e := <-exited
		if e.Err != nil {
			cancel(e.Err)
			return
		}
		cancel(fmt.Errorf("the nested engine exited with code %d: see what its image wants with docker run --privileged %s", e.Code, d.run.client.DindImage))
	}()
	result, err := d.ask(ctx)
	if err != nil && ctx.Err() == nil && !d.engineRuns(ctx) {
		<-ctx.Done() // that it has exited says more than what that led to
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return result, err
}

// engineRuns says whether the nested engine runs, as far as is known.
func (d *dind) engineRuns(ctx context.Context) bool {
	found, err := d.run.engine.API.ContainerInspect(ctx, d.engineName)
	return err != nil && !errdefs.IsNotFound(err) || err == nil && found.State != nil && found.State.Running
}

// startEngine starts the nested engine, which must be privileged. Its data goes
// into a volume, which is removed with it: overlay file systems do not stack.
func (d *dind) startEngine(ctx context.Context) (<-chan engine.Exit, error) {
	r := d.run
	defer r.progress.Step("Starting a nested engine")()
	wanted := engine.Image{Ref: r.client.DindImage, Pull: r.spec.Pull}
	if _, err := wanted.Ensure(ctx, r.engine, r.progress); err != nil {
		return nil, err
	}
	d.prepareWork(ctx) // before anything runs, since that may take its time
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r.labels = r.spec.Labels(r.labels.Run, time.Now(), nestedPatience, r.spec.PullAllowance())
	config := &container.Config{
		Image:   r.client.DindImage,
		Cmd:     nestedCommand(),
		Env:     append([]string{"DOCKER_TLS_CERTDIR="}, r.client.Env...),
		Labels:  r.labels.Values(),
		Volumes: map[string]struct{}{"/var/lib/docker": {}},
	}
	hostConfig := &container.HostConfig{Privileged: true, AutoRemove: true}
	networking := r.clientNetwork(hostConfig)
	creating, cancel := engine.Outlast(ctx)
	defer cancel()
	created, err := r.engine.API.ContainerCreate(creating, config, hostConfig, networking, nil, d.engineName)
	if err != nil {
		return nil, engine.CreateFault("the nested engine", err)
	}
	exited := engine.WatchExit(ctx, r.engine.API, created.ID)
	if err := r.engine.API.ContainerStart(ctx, created.ID, container.StartOptions{}); err != nil {
		return nil, engine.StartFault("the nested engine", err)
	}
	return exited, nil
}

// ask has the client start the servers and ask for them, asks from elsewhere
// while they run, and lets the client clean up.
func (d *dind) ask(ctx context.Context) (attempt, error) {
	r := d.run
	client, err := startWorker(ctx, r.engine.API, d.besideEngine())
	if err != nil {
		return attempt{}, fmt.Errorf("the client container: %w", err)
	}
	defer client.end()
	if err := client.Send(d.work); err != nil {
		return attempt{}, err
	}
	message, err := r.follow(client)
	if err != nil {
		return attempt{}, err
	}
	if message.Measured == nil {
		return r.judge(ctx, AccessDind, message.Outcome)
	}
	elsewhere, err := d.askFromElsewhere(ctx, message.Measured)
	if err == nil {
		err = client.Send(Release{Release: true})
	}
	if err != nil && ctx.Err() == nil {
		return attempt{}, err
	}
	if message, err = r.follow(client); err != nil {
		return attempt{}, err
	}
	result, err := r.judge(ctx, AccessDind, message.Outcome)
	if result.report != nil {
		result.report.Probes = append(result.report.Probes, elsewhere...)
		for _, vantage := range []string{experiment.VantageClient, experiment.VantageHost} {
			result.report.Best = append(result.report.Best, experiment.PickBestFrom(vantage, elsewhere, r.spec)...)
		}
	}
	return result, err
}

// besideEngine is a client in the nested engine's network namespace.
func (d *dind) besideEngine() engine.AgentContainer {
	c := engine.NewAgentContainer(d.client, d.run.image, "client", d.run.labels)
	c.HostConfig.NetworkMode = container.NetworkMode("container:" + d.engineName)
	return c
}

// prepareWork decides what the client is to do, which may ask the user for credentials.
func (d *dind) prepareWork(ctx context.Context) {
	d.work = Work{
		Run:        d.run.labels.Run,
		Spec:       d.run.spec,
		Endpoint:   d.run.client.NestedEndpoint,
		Patience:   nestedPatience,
		Vantage:    VantageDind,
		Identities: d.identities,
		Hold:       true,
	}
	if d.run.spec.PullAllowance() > 0 {
		d.work.authorize(ctx, d.run.engine)
	}
}

// askFromElsewhere asks at the addresses of the nested engine's container, from
// a sibling of it and from here.
func (d *dind) askFromElsewhere(ctx context.Context, measured *report.Report) ([]report.Probe, error) {
	api := d.run.engine.API
	response, err := api.ContainerInspect(ctx, d.engineName)
	if err != nil {
		return nil, fmt.Errorf("inspecting the nested engine: %w", err)
	}
	nested := facts.ReadContainer(response, 0)
	if err := facts.NewNetworks(api).Complete(ctx, &nested); err != nil {
		return nil, err
	}
	sibling := engine.NewAgentContainer(d.sibling, d.run.image, "probe", d.run.labels)
	sibling.Networking = d.run.clientNetwork(sibling.HostConfig)
	started, err := engine.StartAgent(ctx, api, sibling)
	if err != nil {
		return nil, fmt.Errorf("the sibling container: %w", err)
	}
	defer started.Lease.Release()
	prober := engine.NewRemoteProber(ctx, started)
	vantages := []experiment.Vantage{{Name: experiment.VantageClient, Prober: prober}, {Name: experiment.VantageHost}}
	probes := make([][]report.Probe, len(vantages)*len(measured.Servers))
	group, ctx := errgroup.WithContext(ctx)
	for i, v := range vantages {
		for j, server := range measured.Servers {
			group.Go(func() error {
				var err error
				probes[i*len(measured.Servers)+j], err = d.askServer(ctx, v, j, server, nested.Addresses.Networks)
				return err
			})
		}
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	all := slices.Concat(probes...)
	d.explain(nested, all)
	return all, nil
}

// explain gives the failing rows their causes. That a nested server is not reached
// from elsewhere is no finding: it is meant for who uses the nested engine.
func (d *dind) explain(nested facts.Container, probes []report.Probe) {
	diagnosis.Explain(diagnosis.Input{
		Engine: facts.NewEngine(d.run.engine.Host, d.run.engine.Loopback, d.run.description.Endpoint.Engine),
		Server: facts.NewServer(d.engineName, 0, nested),
		Vantages: []facts.Vantage{
			{Name: experiment.VantageClient, Container: true, Networks: nested.Addresses.Networks},
			{Name: experiment.VantageHost, Routes: facts.Routes(nested.Addresses.Networks), Addresses: facts.OwnAddresses()},
		},
	}, probes)
}

// askServer tries one server's addresses from one vantage. The server is known
// to answer, so whatever does not has one second more than a single attempt.
func (d *dind) askServer(ctx context.Context, v experiment.Vantage, index int, server report.Server, networks []facts.Network) ([]report.Probe, error) {
	spec := d.run.spec
	candidates := dindCandidates(server.Published, networks, d.engineName, v)
	attempts := make([]experiment.Attempt, len(candidates))
	for i, candidate := range candidates {
		attempts[i] = experiment.Attempt{Candidate: candidate, Target: spec.Target(candidate.Address, d.identities[index])}
	}
	waiting, cancel := context.WithTimeout(ctx, spec.Timeout+time.Second)
	defer cancel()
	results, err := v.Race(waiting, attempts, spec.Terms())
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return experiment.Rows(v.Name, index, attempts, results), nil
}

// dindCandidates are the nested engine's container, by its addresses and, from a
// container, by its name, with the ports that the nested engine publishes.
func dindCandidates(published []report.PortBinding, networks []facts.Network, name string, v experiment.Vantage) []experiment.Candidate {
	var l experiment.CandidateList
	for _, b := range published {
		hostIP := facts.ParseAddr(b.HostIP)
		for _, n := range networks {
			ip := n.IPv4
			if hostIP.Is6() {
				ip = n.IPv6
			}
			l.Add(report.KindDindHost, ip, b.HostPort, "the nested engine's container on "+n.Name)
		}
		if v.Prober != nil && !hostIP.Is6() {
			l.AddName(report.KindDindHost, name, b.HostPort, "the nested engine's container by name")
		}
	}
	return l.Candidates
}
