package plugin

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/checks"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/target"
)

// diagnoseTarget explains why a running server can or cannot be reached.
func diagnoseTarget(ctx context.Context, s session, wanted target.Target) (*report.Report, error) {
	measured, found, err := target.Explain(ctx, s.engine, wanted, s.progress)
	measured.Checks = checks.DescribeTarget(ctx, checks.TargetInput{Facts: found, Probes: measured.Probes, Findings: measured.Findings})
	return measured, err
}

// parseTarget parses CONTAINER, CONTAINER:PORT or host:PORT. The name of a container
// has no colon.
func parseTarget(text string) (target.Target, error) {
	name, portText, hasPort := strings.Cut(text, ":")
	host := name == experiment.VantageHost
	if host && !hasPort {
		return target.Target{}, fmt.Errorf("invalid TARGET %q: use host:PORT for a server on the engine's host", text)
	}
	var parsed target.Target
	if !host {
		parsed.Container = name
	}
	if !hasPort && name != "" {
		return parsed, nil
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || port == 0 || name == "" {
		return target.Target{}, fmt.Errorf("invalid TARGET %q: must be CONTAINER[:PORT] or host:PORT, with a port from 1 to 65535", text)
	}
	parsed.Port = uint16(port)
	return parsed, nil
}
