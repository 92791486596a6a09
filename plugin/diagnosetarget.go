package plugin

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/checks"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// diagnoseTarget explains why a running server can or cannot be reached.
func diagnoseTarget(ctx context.Context, s session, target experiment.Target) (*report.Report, error) {
	measured, examined, err := experiment.ExplainTarget(ctx, s.engine, target, s.progress)
	measured.Checks = checks.OfTarget(ctx, checks.Target{Examined: examined, Probes: measured.Probes, Findings: measured.Findings})
	return measured, err
}

// parseTarget reads CONTAINER, CONTAINER:PORT or host:PORT. No name of a
// container has a colon.
func parseTarget(text string) (experiment.Target, error) {
	name, portText, hasPort := strings.Cut(text, ":")
	host := name == experiment.VantageHost
	if host && !hasPort {
		return experiment.Target{}, fmt.Errorf("invalid TARGET %q: a server on the host is host:PORT", text)
	}
	var target experiment.Target
	if !host {
		target.Container = name
	}
	if !hasPort && name != "" {
		return target, nil
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || port == 0 || name == "" {
		return experiment.Target{}, fmt.Errorf("invalid TARGET %q: must be CONTAINER[:PORT] or host:PORT, with a port from 1 to 65535", text)
	}
	target.Port = uint16(port)
	return target, nil
}
