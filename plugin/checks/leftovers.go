package checks

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

const categoryLeftovers = "leftovers"

// leftoverChecks look for what earlier runs did not remove.
func leftoverChecks() []check {
	return []check{{
		category: categoryLeftovers, name: "leftovers", dependsOn: []string{"API versions"},
		hint: "remove them; the next run removes them too",
		run:  (*state).checkLeftovers,
	}}
}

func (s *state) checkLeftovers(ctx context.Context) (checkResult, error) {
	found, err := engine.ListLeftovers(ctx, s.connection.API, time.Now())
	if err != nil {
		return s.requestFailed(ctx, err)
	}
	return reportLeftovers(found, s.Docker)
}

func reportLeftovers(found engine.Leftovers, docker string) (checkResult, error) {
	services := make([]string, 0, len(found.Services))
	containers := make([]string, 0, len(found.Containers))
	networks := make([]string, 0, len(found.Networks))
	lines := make([]string, 0, len(found.Services)+len(found.Containers)+len(found.Networks))
	for _, s := range found.Services {
		lines = append(lines, fmt.Sprintf("service %s, of run %s, deadline %s", s.Spec.Name, s.Spec.Labels[engine.LabelRun], s.Spec.Labels[engine.LabelDeadline]))
		services = append(services, s.Spec.Name)
	}
	for _, c := range found.Containers {
		name := strings.TrimPrefix(strings.Join(c.Names, " "), "/")
		lines = append(lines, fmt.Sprintf("container %s, of run %s, %s, deadline %s", name, c.Labels[engine.LabelRun], c.State, c.Labels[engine.LabelDeadline]))
		containers = append(containers, name)
	}
	for _, n := range found.Networks {
		lines = append(lines, fmt.Sprintf("network %s, of run %s, deadline %s", n.Name, n.Labels[engine.LabelRun], n.Labels[engine.LabelDeadline]))
		networks = append(networks, n.Name)
	}
	if len(lines) == 0 {
		return pass("none")
	}
	fault := &report.Fault{
		Cause:    diagnosis.Leftovers,
		Evidence: firstLines(lines),
		Commands: slices.Concat(
			commandOn(docker+" service rm", services),
			commandOn(docker+" rm -fv", containers),
			commandOn(docker+" network rm", networks),
		),
	}
	return warn(fault, "%d from earlier runs, past their deadline", len(lines))
}
