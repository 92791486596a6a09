package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

func TestSettingOf(t *testing.T) {
	t.Parallel()
	fault := &Fault{Cause: "port-in-use", Setting: SettingPublish}
	plain := &SettingError{Setting: SettingPort, Err: errors.New("no port")}
	assert.Equal(t, SettingOf(fmt.Errorf("starting: %w", fault)), SettingPublish)
	assert.Equal(t, SettingOf(errors.Join(errors.New("other"), plain)), SettingPort)
	assert.Equal(t, SettingOf(fmt.Errorf("%w: %w", &Fault{}, plain)), SettingPort)
	assert.Equal(t, SettingOf(errors.New("other")), Setting(""))
	assert.Equal(t, plain.Error(), "no port")
}

func withSettings() *Report {
	r := New("run")
	r.Findings = []Finding{{Cause: "port-in-use", Hint: "choose another port", Setting: SettingPublish}, {Cause: "other", Hint: "wait"}}
	r.Probes = []Probe{{Cause: "port-in-use", Hint: "choose another port"}, {Cause: "other", Hint: "wait"}}
	r.Modes = []Mode{
		{Cause: "port-in-use", Detail: "it is in use", Setting: SettingPublish},
		{Cause: "port-in-use", Detail: "a title", From: []Reach{{}}, Findings: []Finding{{Cause: "image", Hint: "choose another image", Setting: SettingPlatform}}},
	}
	return r
}

func TestNameSettings(t *testing.T) {
	t.Parallel()
	r := withSettings()
	r.Accesses = []Access{{Detail: "there is no socket", Setting: SettingSocketPath}}
	flag := func(s Setting) string {
		if s == "" || s == SettingPlatform { // of a command without --platform
			return ""
		}
		return "--" + string(s)
	}
	for range 2 { // the second changes nothing
		r.NameSettings(flag)
		assert.Check(t, is.Equal(r.Findings[0].Hint, "choose another port (--publish)"))
		assert.Check(t, is.Equal(r.Findings[1].Hint, "wait"))
		assert.Check(t, is.Equal(r.Probes[0].Hint, "choose another port (--publish)"))
		assert.Check(t, is.Equal(r.Probes[1].Hint, "wait"))
		assert.Check(t, is.Equal(r.Modes[0].Detail, "it is in use (--publish)"))
		assert.Check(t, is.Equal(r.Modes[1].Detail, "a title"))
		assert.Check(t, is.Equal(r.Modes[1].Findings[0].Hint, "choose another image"))
		assert.Check(t, is.Equal(r.Accesses[0].Detail, "there is no socket (--socket-path)"))
	}
}

// The JSON that users read has no settings, so another process gets them beside it.
func TestSettingsTravelBesideTheReport(t *testing.T) {
	t.Parallel()
	r := withSettings()
	data, err := json.Marshal(r)
	assert.NilError(t, err)
	assert.Check(t, !strings.Contains(strings.ToLower(string(data)), "setting"), "%s", data)
	var back Report
	assert.NilError(t, json.Unmarshal(data, &back))
	back.SetSettings(r.Settings())
	assert.Check(t, is.Equal(back.Findings[0].Setting, SettingPublish))
	assert.Check(t, is.Equal(back.Findings[1].Setting, Setting("")))
	assert.Check(t, is.Equal(back.Modes[0].Setting, SettingPublish))
	assert.Check(t, is.Equal(back.Modes[1].Setting, Setting("")))
	assert.Check(t, is.Equal(back.Modes[1].Findings[0].Setting, SettingPlatform))
}
