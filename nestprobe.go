// Package nestprobe finds the address at which a program reaches a server in a container.
//
// A program that has started a container through the Docker API does not know which
// address leads to it: that depends on where the program runs (on the engine's host, in a
// container, on another machine), on the endpoint and on the networks. [Reach] tries every
// address that could work, and returns the best one that does, or an [*Error] that says why
// none does: the cause, the evidence, and how to fix it. [Candidates] only lists the
// addresses.
//
//	report, err := nestprobe.Reach(ctx, api, "web", 8080, nestprobe.WithPath("/healthz"))
//	if errors.Is(err, nestprobe.ServerListensOnLoopback) { ... }
//	resp, err := http.Get(report.URL() + "/orders")
//
// The package starts nothing on the engine, changes nothing there, prints nothing, reads no
// flags and keeps no state. Its functions may be called from several goroutines in parallel,
// if the client may, as docker's may. They block, and start nothing that outlives them.
//
// # What is proven
//
// The report says with each address who answered. Verified is a server that has sent the
// token of [WithIdentity]. Witnessed is a connection that was seen at the server: on the
// engine's own Linux host this process can look, elsewhere it cannot. Unverified is an answer
// that nobody looked at: that of a forwarder or of another server would look the same. The
// command docker nestprobe diagnose has a helper in the server's network namespace, and
// always looks.
//
// Sources: the rules about engines and their networks are those of the package
// plugin/diagnosis, where each cause names what proves it.
package nestprobe

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/system"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/bounds"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/candidates"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/target"
)

// API is the part of a client of the Docker API that this package uses. The Client of
// github.com/docker/docker/client is one; the module contrib/moby adapts that of
// github.com/moby/moby/client. Each call only reads. An error that says that something does
// not exist is one for which IsNotFound of github.com/containerd/errdefs returns true.
type API interface {
	ContainerInspect(ctx context.Context, id string) (container.InspectResponse, error)
	ContainerList(ctx context.Context, options container.ListOptions) ([]container.Summary, error)
	ContainerLogs(ctx context.Context, id string, options container.LogsOptions) (io.ReadCloser, error)
	ContainerWait(ctx context.Context, id string, condition container.WaitCondition) (<-chan container.WaitResponse, <-chan error)
	NetworkInspect(ctx context.Context, id string, options network.InspectOptions) (network.Inspect, error)
	NetworkList(ctx context.Context, options network.ListOptions) ([]network.Summary, error)
	Info(ctx context.Context) (system.Info, error)
	ServerVersion(ctx context.Context) (types.Version, error)
	DaemonHost() string // the endpoint as a URL, such as unix:///var/run/docker.sock
}

// Report is what was measured: the same document that docker nestprobe prints with
// --format json, for one server and one vantage. Its methods URL, Address and Identity
// return the best address. Its timings are in milliseconds.
type Report = report.Report

// Candidate is an address that may lead to a server, with the reason why.
type Candidate = candidates.Candidate

// Reach finds out at which address this process reaches the server in a container, by the
// container's name or ID, on a TCP port in it; 0 is the only port that the container
// publishes or else exposes. It probes all addresses in parallel, and retries while the
// server may not be ready: until WithWait is over, the container no longer runs, or ctx is
// about to end.
//
// By default it connects, listens and sends nothing. Options that only HTTP has a use for
// have it send a request.
//
// The error is an [*Error] if an address was looked for and none works, if the container
// does not run, or if the engine cannot be reached. It is another error if ctx has ended, if
// there is no such container (errdefs.IsNotFound) or port, and if the engine refuses a call.
// The Report is never nil; with an error it holds what was measured until then.
//
// If ctx has a deadline, the last quarter of the time, 4 s at most, is kept to find out why
// no address works, so that the caller gets the cause and not only the deadline.
func Reach(ctx context.Context, api API, container string, port uint16, options ...Option) (*Report, error) {
	s := newSettings(container, port, options)
	eng, err := s.locate(ctx, api)
	if err != nil {
		return report.New(command), s.explain(ctx, api, err)
	}
	measured, _, err := target.ExplainHere(ctx, api, eng, s.target)
	measured.Self = eng.Self.Report()
	if omitted, ok := eng.Omitted.Finding(); ok {
		measured.Findings = append(measured.Findings, omitted)
	}
	measured.OK = err == nil && len(measured.Best) > 0
	switch {
	case err != nil:
		return measured, s.explain(ctx, api, err)
	case measured.OK:
		return measured, nil
	default:
		return measured, s.unreached(measured)
	}
}

// command is that of the Report: what Reach does is what diagnose does for the vantage of
// this process.
const command = "diagnose"

// Candidates lists the addresses at which this process might reach the server in a
// container, the best first, and probes none. Its errors are those of [Reach]. The
// container need not run, but one that does not has fewer addresses.
func Candidates(ctx context.Context, api API, container string, port uint16, options ...Option) ([]Candidate, error) {
	s := newSettings(container, port, options)
	eng, err := s.locate(ctx, api)
	if err != nil {
		return nil, s.explain(ctx, api, err)
	}
	found, err := target.CandidatesHere(ctx, api, eng, s.target)
	return found, s.explain(ctx, api, err)
}

// locate returns the engine as seen from this process.
func (s *settings) locate(ctx context.Context, api API) (engine.Engine, error) {
	endpoint := connection.NewSettings("", s.endpoint(api))
	eng := engine.Engine{Omitted: &connection.Omitted{}}
	eng.Describe = func(ctx context.Context) (connection.Description, error) {
		return describe(ctx, api, endpoint, eng.Omitted)
	}
	if s.vantage != nil {
		if err := eng.LocateIn(ctx, api, endpoint, *s.vantage); err != nil {
			return eng, fmt.Errorf("the container of WithVantage: %w", err)
		}
		return eng, nil
	}
	if err := eng.Locate(ctx, api, endpoint); err != nil && (ctx.Err() != nil || !eng.Omitted.Note(ctx, "where this process is", err)) {
		return eng, fmt.Errorf("finding out where this process is: %w", err)
	}
	return eng, nil
}

// madeUpHosts are those of clients that reach the engine by a dialer of their own, such as
// ssh: of docker/docker (client.DummyHost) and of docker/cli (connhelper).
var madeUpHosts = []string{"api.moby.localhost", "docker.example.com"}

// endpoint is the URL of the client's endpoint. What a dialer leads to is not known, as with
// a port of this machine's loopback.
func (s *settings) endpoint(api API) string {
	if s.engineHost != "" {
		return "tcp://" + s.engineHost
	}
	host := api.DaemonHost()
	for _, madeUp := range madeUpHosts {
		if _, at, _ := strings.Cut(host, "://"); at == madeUp || strings.HasPrefix(at, madeUp+":") {
			return "tcp://localhost"
		}
	}
	return host
}

// describe returns what the engine says of itself. Both calls only add detail.
func describe(ctx context.Context, api API, endpoint connection.Settings, omitted *connection.Omitted) (connection.Description, error) {
	limited, cancel := context.WithTimeout(ctx, bounds.AnswerTime)
	defer cancel()
	version, err := api.ServerVersion(limited)
	if err != nil && !omitted.Note(ctx, "GET /version", err) {
		return connection.Description{}, fmt.Errorf("reading the engine's version: %w", err)
	}
	info, err := api.Info(limited)
	if err != nil && !omitted.Note(ctx, "GET /info", err) {
		return connection.Description{}, fmt.Errorf("reading the engine's settings: %w", err)
	}
	return endpoint.Describe(version, info), nil
}

// DefaultWait is how long [Reach] waits for a server that is not ready.
const DefaultWait = 30 * time.Second
