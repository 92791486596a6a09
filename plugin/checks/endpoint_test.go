package checks

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

func TestCheckValidity(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		from, to time.Duration
		want     report.CheckResult
		title    string
	}{
		"valid":            {-time.Hour, 31 * 24 * time.Hour, "pass", ""},
		"expires in days":  {-time.Hour, 29 * 24 * time.Hour, "warning", "A certificate of the engine expires in 29 days"},
		"expires in hours": {-time.Hour, 90 * time.Minute, "warning", "A certificate of the engine expires in 1 hours"},
		"expired":          {-time.Hour, -time.Minute, "warning", "A certificate of the engine expired on 2025-12-31T23:59:00Z"},
		"not valid yet":    {time.Hour, 1000 * time.Hour, "warning", "A certificate of the engine is valid only from 2026-01-01T01:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := connection.Certificate{Whose: "of the engine", Description: "a certificate", NotBefore: now.Add(test.from), NotAfter: now.Add(test.to)}
			got, err := checkValidity([]connection.Certificate{c}, now)
			assert.NilError(t, err)
			assert.Equal(t, got.status, test.want)
			assert.Equal(t, got.title, test.title)
		})
	}
}
