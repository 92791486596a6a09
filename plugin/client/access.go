package client

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
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

// tryAccesses tries the accesses one after the other. Only when none has worked
// are the faults findings: the first that works makes the others uninteresting.
func (r *inContainerRun) tryAccesses(ctx context.Context) error {
	var faults []report.Finding
	for i, method := range r.client.methods() {
		attempt, err := r.try(ctx, method, i)
		if attempt.access.Method != "" {
			r.report.Accesses = append(r.report.Accesses, attempt.access)
		}
		if attempt.report != nil {
			r.report.Add(attempt.report)
			r.modesOK = r.modesOK || attempt.report.OK
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
	if len(r.spec.Modes) > 0 {
		r.report.OK = r.modesOK
	}
	return nil
}

// attempt is what became of one access.
type attempt struct {
	access report.Access
	report *report.Report
	fault  *report.Finding // why the client has no API
	kept   bool            // the relay goes on
}

// failed is an attempt at an access that does not work.
func failed(method Access, fault *report.Fault) attempt {
	finding := diagnosis.Finding(fault)
	return attempt{
		access: report.Access{Method: string(method), Cause: finding.Cause, Detail: netprobe.Visible(fault.Error(), report.MaxLine)},
		fault:  &finding,
	}
}

// try runs a client with one access. Its error is one of measuring; an access
// that does not work is a result.
func (r *inContainerRun) try(ctx context.Context, method Access, index int) (attempt, error) {
	if method == AccessEndpoint && r.client.NoUserEndpoint != nil {
		var fault *report.Fault
		if errors.As(r.client.NoUserEndpoint, &fault) {
			return failed(method, fault), nil
		}
		return attempt{access: report.Access{Method: string(method), Detail: netprobe.Visible(r.client.NoUserEndpoint.Error(), report.MaxLine)}}, nil
	}
	if method == AccessDind {
		return r.tryDind(ctx)
	}
	r.labels = r.spec.Labels(r.labels.Run, time.Now(), r.spec.PullAllowance())
	if method == AccessSocket && r.makesSources() {
		if err := r.client.CheckSocket(r.socketPath()); err != nil {
			return failed(method, r.socketMissing(err)), nil
		}
	}
	name := ClientName(r.labels.Run, index)
	result, err := r.runClient(ctx, method, name)
	if result.kept && err == nil {
		return result, nil
	}
	return result, errors.Join(err, r.remove(ctx, err != nil, name))
}

// judge turns a client's outcome into an attempt. An error of a client that has
// the API is an error of the command, as it would be on the host. When ctx has
// ended, the outcome is what the client had measured by then.
func (*inContainerRun) judge(ctx context.Context, method Access, outcome *Outcome) (attempt, error) {
	if ctx.Err() != nil {
		return soFar(method, outcome), context.Cause(ctx)
	}
	result := attempt{
		access: report.Access{Method: string(method), OK: outcome.Connected, Detail: netprobe.Visible(outcome.Error, report.MaxLine)},
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
		return result, report.FromFinding(*outcome.Fault, outcome.Error)
	}
	return result, errors.New(outcome.Error)
}

// soFar is what became of an access whose client was told to end.
func soFar(method Access, outcome *Outcome) attempt {
	if !outcome.Connected { // yet
		return attempt{}
	}
	return attempt{access: report.Access{Method: string(method), OK: true}, report: outcome.Report}
}

// vantage names the client; where each access has one, by its access too.
func (r *inContainerRun) vantage(method Access) string {
	if r.client.Access == AccessAll {
		return experiment.VantageClient + " (" + string(method) + ")"
	}
	return experiment.VantageClient
}

func (r *inContainerRun) socketPath() string {
	return r.client.SocketPath(r.description.Endpoint.Engine.Desktop)
}

// missingSource is how engines refuse to mount what is not there: dockerd
// (volume/mounts, errBindSourceDoesNotExist) and Podman (statfs, ENOENT). Both
// give the status of any bad request.
var missingSource = regexp.MustCompile(`bind source path does not exist|statfs .*: no such file or directory`)

func noSuchSource(err error) bool { return err != nil && missingSource.MatchString(err.Error()) }

// makesSources says whether the engine makes a directory of a missing source even
// for a mount. Podman's API for docker clients does (seen with 4.3).
func (r *inContainerRun) makesSources() bool {
	return strings.HasPrefix(r.description.Endpoint.Engine.Product, "Podman")
}

func (r *inContainerRun) socketMissing(err error) *report.Fault {
	return &report.Fault{
		Cause:    connection.SocketPathNotOnEngine,
		Evidence: []string{err.Error()},
		Hint:     "say with --socket-path where the engine's socket is on its own host",
		Err:      fmt.Errorf("there is no %s on the engine's host", r.socketPath()),
	}
}
