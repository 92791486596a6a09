package experiment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Access is a way for a client container to reach the Docker API.
type Access string

// The accesses. AccessAuto and AccessAll stand for several.
const (
	AccessAuto     Access = "auto"     // the first of socket and endpoint that works
	AccessSocket   Access = "socket"   // the engine's socket mounted
	AccessEndpoint Access = "endpoint" // the user's own tcp endpoint, TLS material included
	AccessNone     Access = "none"     // nothing, to see it fail
	AccessAll      Access = "all"      // each of them
)

// SocketInContainer is where the engine's socket is mounted, and where clients
// without settings look for it.
const SocketInContainer = "/var/run/docker.sock"

// ClientSpec says what the client container is and how it gets the Docker API.
type ClientSpec struct {
	Access Access
	// SocketPath is the engine's socket on the engine's host, which depends on
	// whether the engine runs in a VM that Docker Desktop keeps.
	SocketPath func(desktop bool) string
	// CheckSocket says whether it is safe to mount the path with an engine that
	// makes a directory of a source that is missing.
	CheckSocket func(path string) error
	// SocketEndpoint and UserEndpoint are the settings of an API, as a client
	// gets them over its stdin; secrets included.
	SocketEndpoint json.RawMessage
	UserEndpoint   json.RawMessage
	// NestedEndpoint is that of NestedEndpoint in the same form.
	NestedEndpoint json.RawMessage
	// NoUserEndpoint is why there is no UserEndpoint.
	NoUserEndpoint error

	ID string // of the run, which names and labels carry

	Relay     bool // the client is a runner that starts servers on demand
	KeepRelay bool // and goes on when this process ends

	DindImage        string // of the nested engine
	DindRegistryAuth string // see Spec.RegistryAuth

	Image        string // the user's image; empty for the built-in one
	RegistryAuth string // see Spec.RegistryAuth
	Env          []string
	User         string // empty for root
	Network      Network
}

// methods are the accesses to try, in order. A nested engine needs a privileged
// container, so it is not tried unless it is asked for.
func (s ClientSpec) methods() []Access {
	switch s.Access {
	case AccessAuto:
		return []Access{AccessSocket, AccessEndpoint}
	case AccessAll:
		return []Access{AccessSocket, AccessEndpoint, AccessDind, AccessNone}
	default:
		return []Access{s.Access}
	}
}

// RunInContainer has client containers run the experiment, one for each access
// that is tried. What holds for the Report of Run holds for its Report. An
// access that does not work is a result, not an error.
func RunInContainer(ctx context.Context, engine Engine, spec Spec, client ClientSpec, progress Progress) (*report.Report, error) {
	started := time.Now()
	r := &inContainer{
		engine:   engine,
		spec:     spec,
		client:   client,
		progress: progress,
		report:   report.New("in-container"),
		labels:   newLabels(client.ID, started, spec),
	}
	err := r.measure(ctx)
	r.report.Timings.TotalMS = milliseconds(time.Since(started))
	return r.report, err
}

// inContainer is the state of one experiment in containers.
type inContainer struct {
	engine   Engine
	spec     Spec
	client   ClientSpec
	progress Progress
	report   *report.Report
	labels   labels

	image       string // of the client
	binary      []byte // of the agent, if the client's image does not have it
	description Description
}

func (r *inContainer) measure(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		sweep(ctx, r.engine.API, time.Now(), r.progress)
		return nil
	})
	group.Go(func() error {
		if err := r.prepare(ctx); err != nil {
			return err
		}
		return r.tryAccesses(ctx)
	})
	return group.Wait()
}

// prepare learns about the engine and makes the client's image available.
func (r *inContainer) prepare(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		var err error
		r.description, err = r.engine.Describe(ctx)
		r.report.Endpoint = r.description.Endpoint
		return err
	})
	group.Go(func() error { return r.clientImage(ctx) })
	return group.Wait()
}

// clientImage makes the client's image available.
func (r *inContainer) clientImage(ctx context.Context) error {
	var err error
	if r.client.Image == "" {
		r.image, err = r.engine.AgentImage(ctx)
		return err
	}
	r.image = r.client.Image
	wanted := userImage{ref: r.image, pull: r.spec.Pull, auth: r.client.RegistryAuth}
	if _, err = wanted.ensure(ctx, r.engine.API, r.progress); err != nil {
		return err
	}
	r.binary, err = r.engine.AgentBinary(ctx)
	return err
}

// tryAccesses tries the accesses one after the other. Only when none has worked
// are the faults findings: the first that works makes the others uninteresting.
func (r *inContainer) tryAccesses(ctx context.Context) error {
	var faults []report.Finding
	for i, method := range r.client.methods() {
		attempt, err := r.try(ctx, method, i)
		if attempt.access.Method != "" {
			r.report.Accesses = append(r.report.Accesses, attempt.access)
		}
		if attempt.report != nil {
			r.merge(attempt.report)
		}
		if err != nil {
			return err
		}
		if attempt.fault != nil {
			faults = append(faults, *attempt.fault)
		}
		if attempt.access.OK && r.client.Access == AccessAuto {
			break
		}
	}
	if len(r.report.Servers) == 0 {
		r.report.Findings = append(r.report.Findings, faults...)
	}
	r.report.OK = r.allReached()
	return nil
}

// allReached says whether there is a best address for every server from where it
// matters: through a relay from the host, else from a client.
func (r *inContainer) allReached() bool {
	reached := map[int]bool{}
	for _, best := range r.report.Best {
		if !r.client.Relay || best.Vantage == VantageHost {
			reached[best.Server] = true
		}
	}
	return len(r.report.Servers) > 0 && len(reached) == len(r.report.Servers)
}

// merge adds what a client has measured.
func (r *inContainer) merge(measured *report.Report) {
	offset := len(r.report.Servers)
	r.report.Servers = append(r.report.Servers, measured.Servers...)
	for _, probe := range measured.Probes {
		probe.Server += offset
		r.report.Probes = append(r.report.Probes, probe)
	}
	for _, best := range measured.Best {
		best.Server += offset
		r.report.Best = append(r.report.Best, best)
	}
	r.report.Findings = append(r.report.Findings, measured.Findings...)
	r.report.Timings.ImageMS += measured.Timings.ImageMS
	r.report.Timings.StartMS += measured.Timings.StartMS
	r.report.Timings.ProbeMS += measured.Timings.ProbeMS
	r.report.Timings.CleanupMS += measured.Timings.CleanupMS
}

// attempt is what became of one access.
type attempt struct {
	access report.Access
	report *report.Report
	fault  *report.Finding // why the client has no API
	kept   bool            // the relay goes on
}

// maxDetail bounds the sentence on an access, which may quote an engine.
const maxDetail = 1 << 10

// failed is an attempt at an access that does not work.
func failed(method Access, fault *diagnosis.Fault) attempt {
	finding := fault.Finding()
	return attempt{
		access: report.Access{Method: string(method), Cause: finding.Cause, Detail: netprobe.Visible(fault.Error(), maxDetail)},
		fault:  &finding,
	}
}

// ClientName is the name of the client container of a run that has the access at
// an index of the Report.
func ClientName(run string, access int) string {
	return fmt.Sprintf("nestprobe-%s-client-%d", run, access+1)
}

// try runs a client with one access. Its error is one of measuring; an access
// that does not work is a result.
func (r *inContainer) try(ctx context.Context, method Access, index int) (attempt, error) {
	if method == AccessEndpoint && r.client.NoUserEndpoint != nil {
		var fault *diagnosis.Fault
		if errors.As(r.client.NoUserEndpoint, &fault) {
			return failed(method, fault), nil
		}
		return attempt{access: report.Access{Method: string(method), Detail: netprobe.Visible(r.client.NoUserEndpoint.Error(), maxDetail)}}, nil
	}
	if method == AccessDind {
		return r.tryDind(ctx)
	}
	r.labels = newLabels(r.labels.run, time.Now(), r.spec)
	if method == AccessSocket && r.makesSources() {
		if err := r.client.CheckSocket(r.socketPath()); err != nil {
			return failed(method, r.socketMissing(err)), nil
		}
	}
	name := ClientName(r.labels.run, index)
	result, err := r.runClient(ctx, method, name)
	if result.kept && err == nil {
		return result, nil
	}
	return result, errors.Join(err, r.remove(ctx, err != nil, name))
}

// runClient starts a client, gives it its work, and waits for its outcome.
func (r *inContainer) runClient(ctx context.Context, method Access, name string) (attempt, error) {
	done := r.progress.Step("Starting a client container (access " + string(method) + ")")
	client, err := startAgent(ctx, r.engine.API, r.container(method, name))
	done()
	var fault *diagnosis.Fault
	if method == AccessSocket && noSuchSource(err) {
		return failed(method, r.socketMissing(err)), nil
	}
	if errors.As(err, &fault) {
		return attempt{}, fault
	}
	if err != nil {
		return attempt{}, fmt.Errorf("the client container: %w", err)
	}
	defer client.lease.release()
	work := r.work(method, client.id)
	if err := client.send(work); err != nil {
		return attempt{}, err
	}
	if r.client.Relay {
		return r.runRelay(ctx, method, client, work.Identities)
	}
	message, err := r.follow(ctx, client)
	if err != nil {
		return attempt{}, err
	}
	return r.judge(method, message.Outcome)
}

// runRelay asks through the relay once it is ready.
func (r *inContainer) runRelay(ctx context.Context, method Access, relay *agent, identities []string) (attempt, error) {
	message, err := r.follow(ctx, relay)
	if err != nil {
		return attempt{}, err
	}
	if !message.Ready {
		return r.judge(method, message.Outcome)
	}
	probes, outcome, err := r.askAndRelease(ctx, relay, identities)
	if err != nil {
		return attempt{}, err
	}
	result, err := r.judge(method, outcome)
	if result.report != nil {
		result.report.Probes = append(result.report.Probes, probes...)
		result.report.Best = append(bestFrom(VantageHost, probes, r.spec), result.report.Best...)
		result.kept = r.client.KeepRelay
	}
	return result, err
}

// askAndRelease asks through the relay, tells it that this was all, and returns
// the outcome that it then tells. Meanwhile it follows the relay, whose end is
// the end of the asking.
func (r *inContainer) askAndRelease(ctx context.Context, relay *agent, identities []string) ([]report.Probe, *Outcome, error) {
	var probes []report.Probe
	var outcome *Outcome
	var released atomic.Bool
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		message, err := r.follow(ctx, relay)
		if err != nil {
			return err
		}
		if outcome = message.Outcome; outcome == nil || !released.Load() {
			return fmt.Errorf("container %s was stopped by somebody else, or by an engine that shuts down: run the command again", relay.name)
		}
		return nil
	})
	group.Go(func() error {
		var err error
		if probes, err = r.askRelay(ctx, relay, identities); err == nil {
			released.Store(true)
			err = relay.send(Release{Keep: r.client.KeepRelay, Release: true})
		}
		if err != nil {
			relay.lease.release() // nothing more will be followed
		}
		return err
	})
	err := group.Wait()
	return probes, outcome, err
}

// follow shows a client's progress until it is ready or tells its outcome.
func (r *inContainer) follow(ctx context.Context, client *agent) (*Message, error) {
	done := func() {}
	defer func() { done() }()
	for {
		var message Message
		if err := client.receive(ctx, &message); err != nil {
			return nil, err
		}
		switch {
		case message.Step != "":
			done()
			done = r.progress.Step(message.Step)
		case message.Note != "":
			r.progress.Note(message.Note)
		case message.Ready, message.Measured != nil, message.Outcome != nil:
			return &message, nil
		}
	}
}

// judge turns a client's outcome into an attempt. An error of a client that has
// the API is an error of the command, as it would be on the host.
func (*inContainer) judge(method Access, outcome *Outcome) (attempt, error) {
	result := attempt{
		access: report.Access{Method: string(method), OK: outcome.Connected, Detail: netprobe.Visible(outcome.Error, maxDetail)},
		report: outcome.Report,
	}
	if outcome.Fault != nil {
		result.access.Cause = outcome.Fault.Cause
	}
	if outcome.Error == "" {
		return result, nil
	}
	if !outcome.Connected {
		result.fault, result.report = outcome.Fault, nil
		return result, nil
	}
	if outcome.Fault != nil {
		return result, diagnosis.FromFinding(*outcome.Fault, outcome.Error)
	}
	return result, errors.New(outcome.Error)
}

func (r *inContainer) socketPath() string {
	return r.client.SocketPath(r.description.Endpoint.Engine.Desktop)
}

func (r *inContainer) work(method Access, id string) Work {
	work := Work{
		Run:       r.labels.run,
		Spec:      r.spec,
		Endpoint:  r.client.SocketEndpoint,
		Vantage:   r.vantage(method),
		Container: id,
	}
	if method == AccessEndpoint {
		work.Endpoint = r.client.UserEndpoint
	}
	if r.client.Relay {
		work.Vantage, work.Identities = VantageRelay, r.newIdentities()
		work.Spec.Keep, work.Spec.Lasting = false, r.client.KeepRelay
	}
	return work
}

// vantage names the client; where each access has one, by its access too.
func (r *inContainer) vantage(method Access) string {
	if r.client.Access == AccessAll {
		return VantageClient + " (" + string(method) + ")"
	}
	return VantageClient
}

func (r *inContainer) container(method Access, name string) agentContainer {
	role := "client"
	if r.client.Relay {
		role = "relay"
	}
	c := newAgentContainer(name, r.image, role, r.labels)
	if r.client.Relay {
		publishRelay(c)
	}
	c.config.User = r.client.User
	if c.config.User == "" {
		c.config.User = "0:0"
	}
	c.config.Env = r.client.Env
	if r.binary != nil {
		c.binary = r.binary
		c.config.Entrypoint = []string{agentPath}
		c.hostConfig.ReadonlyRootfs = false // an engine copies nothing into a read-only one
	}
	c.networking = r.clientNetwork(c.hostConfig)
	if method == AccessSocket {
		// A mount fails where -v would make a directory of a missing source.
		c.hostConfig.Mounts = []mount.Mount{{
			Type: mount.TypeBind, Source: r.socketPath(), Target: SocketInContainer,
		}}
	}
	return c
}

// clientNetwork puts a container on the client's network.
func (r *inContainer) clientNetwork(hostConfig *container.HostConfig) *network.NetworkingConfig {
	n := r.client.Network
	if n.Name == "" {
		return nil
	}
	hostConfig.NetworkMode = container.NetworkMode(n.Name)
	if n.Endpoint == nil {
		return nil
	}
	return &network.NetworkingConfig{
		EndpointsConfig: map[string]*network.EndpointSettings{n.Name: n.Endpoint},
	}
}

// missingSource is how engines refuse to mount what is not there: dockerd
// (volume/mounts, errBindSourceDoesNotExist) and Podman (statfs, ENOENT). Both
// give the status of any bad request.
var missingSource = regexp.MustCompile(`bind source path does not exist|statfs .*: no such file or directory`)

func noSuchSource(err error) bool { return err != nil && missingSource.MatchString(err.Error()) }

// makesSources says whether the engine makes a directory of a missing source even
// for a mount. Podman's API for docker clients does (seen with 4.3).
func (r *inContainer) makesSources() bool {
	return strings.HasPrefix(r.description.Endpoint.Engine.Product, "Podman")
}

func (r *inContainer) socketMissing(err error) *diagnosis.Fault {
	return &diagnosis.Fault{
		Cause:    diagnosis.SocketPathNotOnEngine,
		Evidence: []string{err.Error()},
		Hint:     "say with --socket-path where the engine's socket is on its own host",
		Err:      fmt.Errorf("there is no %s on the engine's host", r.socketPath()),
	}
}

// remove removes a client, and whatever it has started and not removed itself.
func (r *inContainer) remove(ctx context.Context, failed bool, names ...string) error {
	ending, cancel := ending(ctx, failed)
	defer cancel()
	for _, name := range names {
		if err := removeContainer(ending, r.engine.API, name); err != nil {
			return &CleanUpError{err}
		}
	}
	if err := removeRun(ending, r.engine.API, r.labels.run); err != nil {
		return &CleanUpError{err}
	}
	return nil
}

// removeRun removes whatever carries the id of a run.
func removeRun(ctx context.Context, api API, id string) error {
	label := filters.NewArgs(filters.Arg("label", LabelRun+"="+id))
	containers, err := api.ContainerList(ctx, container.ListOptions{All: true, Filters: label})
	if err != nil {
		return fmt.Errorf("listing what the run has started: %w", err)
	}
	group, removing := errgroup.WithContext(ctx)
	for _, c := range containers {
		group.Go(func() error { return removeContainer(removing, api, c.ID) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	networks, err := api.NetworkList(ctx, network.ListOptions{Filters: label})
	if err != nil {
		return fmt.Errorf("listing what the run has started: %w", err)
	}
	for _, n := range networks {
		if err := removeNetwork(ctx, api, n.ID); err != nil {
			return err
		}
	}
	return nil
}
