package client

import (
	"context"
	"errors"
	"time"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Access is how a client container gets the Docker API.
type Access string

// The accesses. AccessAuto and AccessAll stand for several.
const (
	AccessAuto     Access = "auto"     // the first of socket and endpoint that works
	AccessSocket   Access = "socket"   // the engine's socket, mounted
	AccessEndpoint Access = "endpoint" // the user's tcp endpoint with its TLS files
	AccessDind     Access = "dind"     // the API of a nested engine
	AccessNone     Access = "none"     // nothing, to see how that fails
	AccessAll      Access = "all"      // each of them
)

// accesses returns the accesses to try, in order. AccessAuto leaves out a nested
// engine, which needs a privileged container.
func (o Options) accesses() []Access {
	switch o.Access {
	case AccessAuto:
		return []Access{AccessSocket, AccessEndpoint}
	case AccessAll:
		return []Access{AccessSocket, AccessEndpoint, AccessDind, AccessNone}
	default:
		return []Access{o.Access}
	}
}

// tryAccesses tries the accesses one after the other. Their faults become findings
// only if none has worked.
func (r *run) tryAccesses(ctx context.Context) error {
	var faults []report.Finding
	for i, access := range r.options.accesses() {
		result, err := r.tryAccess(ctx, access, i)
		if !result.recorded {
			r.record(result)
		}
		if err != nil {
			return err
		}
		if result.fault != nil {
			faults = append(faults, *result.fault)
		}
		if result.access.OK && r.options.Access == AccessAuto {
			break
		}
	}
	if len(r.report.Servers) == 0 {
		r.report.Findings = append(r.report.Findings, faults...)
	}
	r.conclude()
	return nil
}

// record adds the result of an access to the Report.
func (r *run) record(result accessResult) {
	if result.access.Method != "" {
		r.report.Accesses = append(r.report.Accesses, result.access)
	}
	if result.report != nil {
		r.report.Add(result.report)
		r.modesOK = r.modesOK || result.report.OK
	}
}

func (r *run) conclude() {
	r.report.OK = r.allReached()
	if len(r.request.Modes) > 0 {
		r.report.OK = r.modesOK
	}
}

// show records the last result and shows the Report before the clean-up.
func (r *run) show(result *accessResult) {
	if !result.access.OK || r.options.Access == AccessAll || r.options.OnMeasured == nil {
		return
	}
	r.record(*result)
	result.recorded = true
	r.conclude()
	r.options.OnMeasured(r.report)
}

// accessResult is the result of one access. The zero value means that nothing is known
// of it.
type accessResult struct {
	access report.Access
	report *report.Report  // of the client
	fault  *report.Finding // why the client has no API
	kept   bool            // the relay continues

	recorded bool // it is in the Report
}

// failedAccess is the result of an access that does not work.
func failedAccess(access Access, fault *report.Fault) accessResult {
	finding := diagnosis.Finding(fault)
	result := unusedAccess(access, fault)
	result.access.Cause, result.fault = finding.Cause, &finding
	return result
}

// unusedAccess is the result of an access that no client was started with.
func unusedAccess(access Access, err error) accessResult {
	return accessResult{access: report.Access{Method: string(access), Detail: netprobe.Visible(err.Error(), report.MaxLine)}}
}

// tryAccess runs a client with one access. Its error says that nothing could be
// measured. An access that does not work is a result.
func (r *run) tryAccess(ctx context.Context, access Access, index int) (accessResult, error) {
	endpoint, err := r.options.carryEndpoint(access)
	if err != nil {
		var fault *report.Fault
		if errors.As(err, &fault) {
			return failedAccess(access, fault), nil
		}
		return unusedAccess(access, err), nil
	}
	if access == AccessDind || access == AccessSocket && r.mustDescribe() {
		if err := r.describe(); err != nil {
			return accessResult{}, err
		}
	}
	if access == AccessDind {
		return r.tryNestedEngine(ctx, endpoint)
	}
	r.labels = r.request.Labels(r.labels.Run, time.Now(), r.request.PullAllowance())
	if access == AccessSocket && r.createsMissingSources() {
		if err := r.options.checkSocket(r.socketPath(), r.engine.Self); err != nil {
			return failedAccess(access, r.socketMissingFault(err)), nil
		}
	}
	name := ContainerName(r.labels.Run, index)
	result, err := r.runClient(ctx, access, endpoint, name)
	if result.kept && err == nil {
		return result, nil
	}
	if err == nil {
		r.show(&result)
	}
	return result, errors.Join(err, r.remove(ctx, err != nil, name))
}

// resultOf turns a client's Outcome into the result of its access. An error of a client
// that has the API is returned, as the same error on the host would be. If ctx has
// ended, the result is what the client had measured by then.
func resultOf(ctx context.Context, access Access, outcome *Outcome) (accessResult, error) {
	if ctx.Err() != nil && !outcome.Connected { // yet
		return accessResult{}, context.Cause(ctx)
	}
	if ctx.Err() != nil {
		return accessResult{access: report.Access{Method: string(access), OK: true}, report: outcome.Report}, context.Cause(ctx)
	}
	result := accessResult{
		access: report.Access{Method: string(access), OK: outcome.Connected, Detail: netprobe.Visible(outcome.Error, report.MaxLine)},
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
	return result, outcome.err()
}

// vantage is the client's name in the Report. With several accesses it contains the
// access.
func (r *run) vantage(access Access) string {
	if r.options.Access == AccessAll {
		return probing.VantageClient + " (" + string(access) + ")"
	}
	return probing.VantageClient
}
