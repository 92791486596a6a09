package engine

import (
	"testing"

	"github.com/docker/docker/api/types/container"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

func TestHealthCheck(t *testing.T) {
	t.Parallel()
	failed := []*container.HealthcheckResult{{ExitCode: 7, Output: "first\nlast \x1b[2J\n"}}
	for _, test := range []struct {
		health *container.Health
		result report.CheckResult
		detail string
	}{
		{nil, "", ""},
		{&container.Health{}, "", ""},
		{&container.Health{Status: container.NoHealthcheck}, "", ""},
		{&container.Health{Status: container.Healthy}, report.CheckPass, "healthy"},
		{&container.Health{Status: container.Starting}, report.CheckInconclusive, "starting: no check has passed yet"},
		{&container.Health{Status: container.Starting, FailingStreak: 1, Log: failed}, report.CheckInconclusive, `the health check says starting: it failed 1 time in a row, the last time with exit code 7: last \x1b[2J`},
		{&container.Health{Status: container.Unhealthy, FailingStreak: 2, Log: failed}, report.CheckWarning, `the health check says unhealthy: it failed 2 times in a row, the last time with exit code 7: last \x1b[2J`},
	} {
		check, ok := HealthCheck("web", &container.State{Health: test.health})
		assert.Equal(t, ok, test.result != "")
		assert.Equal(t, check.Result, test.result)
		assert.Equal(t, check.Detail, test.detail)
	}
	_, ok := HealthCheck("web", nil)
	assert.Assert(t, !ok)
}
