package client

import (
	"encoding/json"
	"errors"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// What the user can change to fix an error arrives with the outcome of a client.
func TestOutcomeKeepsSettings(t *testing.T) {
	t.Parallel()
	measured := report.New("run")
	for name, fault := range map[string]*report.Finding{"known cause": {Cause: "port-in-use"}, "unknown cause": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := json.Marshal(Outcome{
				Report: measured, Error: "it is in use", Fault: fault, Setting: report.SettingPull,
			})
			assert.NilError(t, err)
			var back Outcome
			assert.NilError(t, json.Unmarshal(data, &back))
			assert.Check(t, is.Equal(report.SettingOf(back.err()), report.SettingPull))
			assert.Check(t, is.Error(back.err(), "it is in use"))
			assert.Check(t, is.Equal(errors.As(back.err(), new(*report.Fault)), fault != nil))
		})
	}
	assert.NilError(t, (&Outcome{}).err())
}
