package engine

import (
	"fmt"
	"strings"

	"github.com/docker/docker/api/types/container"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// maxHealthLog bounds what a health check has printed, in bytes: what fits a wide terminal.
const maxHealthLog = 200

// HealthLog says why a container is not healthy, with the last line that its health check
// printed; empty if it is healthy, or no check has failed yet.
func HealthLog(state *container.State) string {
	health := state.Health
	if health == nil || health.Status == container.Healthy || health.FailingStreak == 0 || len(health.Log) == 0 || health.Log[len(health.Log)-1] == nil {
		return ""
	}
	last := health.Log[len(health.Log)-1]
	text := fmt.Sprintf("the health check says %s: it failed %s in a row, the last time with exit code %d", health.Status, Plural(health.FailingStreak, "time"), last.ExitCode)
	if output := strings.TrimSpace(last.Output); output != "" {
		text += ": " + netprobe.Visible(output[strings.LastIndex(output, "\n")+1:], maxHealthLog)
	}
	return text
}

// HealthCheck is what the health check of a running container says, as a check of a Report;
// ok is false if it has none.
func HealthCheck(name string, state *container.State) (check report.Check, ok bool) {
	if state == nil || state.Health == nil || state.Health.Status == "" || state.Health.Status == container.NoHealthcheck {
		return report.Check{}, false // Podman: empty without a health check
	}
	check = report.Check{Category: "health", Name: name, Result: report.CheckPass, Detail: state.Health.Status}
	switch log := HealthLog(state); {
	case state.Health.Status == container.Unhealthy:
		check.Result, check.Detail = report.CheckWarning, log
	case state.Health.Status != container.Healthy:
		check.Result, check.Detail = report.CheckInconclusive, "starting: no check has passed yet"
		if log != "" {
			check.Detail = log
		}
	}
	return check, true
}
