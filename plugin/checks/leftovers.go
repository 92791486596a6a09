package checks

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

const categoryLeftovers = "leftovers"

// leftoverChecks are about what earlier runs did not remove.
func leftoverChecks() []check {
	return []check{{
		category: categoryLeftovers, name: "leftovers", needs: []string{"API versions"},
		hint: "remove them, or start any run, which does that first",
		look: (*state).lookForLeftovers,
	}}
}

func (s *state) lookForLeftovers(ctx context.Context) (outcome, error) {
	left, err := engine.ListLeftovers(ctx, s.connection.API, time.Now())
	if err != nil {
		return s.asked(ctx, err)
	}
	return judgeLeftovers(left, s.Docker)
}

func judgeLeftovers(left engine.Leftovers, docker string) (outcome, error) {
	lines := make([]string, 0, len(left.Services)+len(left.Containers)+len(left.Networks))
	services, containers, networks := make([]string, 0, len(left.Services)), make([]string, 0, len(left.Containers)), make([]string, 0, len(left.Networks))
	for _, s := range left.Services {
		lines = append(lines, fmt.Sprintf("service %s, of run %s, deadline %s", s.Spec.Name, s.Spec.Labels[engine.LabelRun], s.Spec.Labels[engine.LabelDeadline]))
		services = append(services, s.Spec.Name)
	}
	for _, c := range left.Containers {
		name := strings.TrimPrefix(strings.Join(c.Names, " "), "/")
		lines = append(lines, fmt.Sprintf("container %s, of run %s, %s, deadline %s", name, c.Labels[engine.LabelRun], c.State, c.Labels[engine.LabelDeadline]))
		containers = append(containers, name)
	}
	for _, n := range left.Networks {
		lines = append(lines, fmt.Sprintf("network %s, of run %s, deadline %s", n.Name, n.Labels[engine.LabelRun], n.Labels[engine.LabelDeadline]))
		networks = append(networks, n.Name)
	}
	if len(lines) == 0 {
		return pass("none")
	}
	fault := &report.Fault{
		Cause:    diagnosis.Leftovers,
		Evidence: some(lines),
		Commands: slices.Concat(command(docker+" service rm", services), command(docker+" rm -fv", containers), command(docker+" network rm", networks)),
	}
	return warn(fault, "%d of earlier runs, past their deadline", len(lines))
}

// command is a command with names to copy. What no engine would take as a name is
// left out: it is not to reach a shell.
func command(start string, names []string) []string {
	var good []string
	for _, name := range names {
		if isName.MatchString(name) && len(good) < maxLines {
			good = append(good, name)
		}
	}
	if len(good) == 0 {
		return nil
	}
	return []string{start + " " + strings.Join(good, " ")}
}

// isName is what Docker takes as the name of a container or network (moby,
// daemon/names).
var isName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]+$`)

// maxLines is how much of a list is told: what fits on a screen.
const maxLines = 20

// some are the first of many lines.
func some(lines []string) []string {
	if len(lines) <= maxLines {
		return lines
	}
	return append(lines[:maxLines:maxLines], fmt.Sprintf("and %d more", len(lines)-maxLines))
}
