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
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// leftoverChecks look for what earlier runs did not remove.
var leftoverChecks = category("leftovers", []check{{
	name: "leftovers", dependsOn: []string{"API versions"},
	hint: "remove them; the next run removes them too",
	run:  (*state).checkLeftovers,
}})

func (s *state) checkLeftovers(ctx context.Context) (checkResult, error) {
	found, err := engine.ListLeftovers(ctx, s.connection.API, s.connection.Omitted, time.Now())
	if err != nil {
		return s.requestFailed(ctx, err)
	}
	return reportLeftovers(found, s.Docker)
}

func reportLeftovers(found engine.Leftovers, docker shell.Text) (checkResult, error) {
	var lines []string
	names := map[string][]string{} // by kind
	add := func(kind, name string, labels map[string]string, state string) {
		names[kind] = append(names[kind], name)
		lines = append(lines, fmt.Sprintf("%s %s, of run %s%s, deadline %s", kind, name, labels[engine.LabelRun], state, labels[engine.LabelDeadline]))
	}
	for _, s := range found.Services {
		add("service", s.Spec.Name, s.Spec.Labels, "")
	}
	for _, c := range found.Containers {
		add("container", strings.TrimPrefix(strings.Join(c.Names, " "), "/"), c.Labels, ", "+c.State)
	}
	for _, n := range found.Networks {
		add("network", n.Name, n.Labels, "")
	}
	if len(lines) == 0 && len(found.Unlisted) > 0 {
		return inconclusive("the engine does not list its %s", strings.Join(found.Unlisted, " and "))
	}
	if len(lines) == 0 {
		return pass("none")
	}
	fault := &report.Fault{
		Cause:    diagnosis.Leftovers,
		Evidence: firstLines(lines),
		Commands: slices.Concat(
			commandOn(docker+" service rm", names["service"]),
			commandOn(docker+" rm -fv", names["container"]),
			commandOn(docker+" network rm", names["network"]),
		),
	}
	return warn(fault, "%d from earlier runs, past their deadline", len(lines))
}
