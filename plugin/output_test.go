package plugin

import (
	"bytes"
	"errors"
	"testing"

	"github.com/docker/cli/cli/streams"
	"github.com/spf13/cobra"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/render"
)

// outputOf returns an output with a format, and what it writes.
func outputOf(t *testing.T, format string) (o *output, stdout, stderr *bytes.Buffer) {
	t.Helper()
	renderer, err := render.New(render.Options{Format: format})
	assert.NilError(t, err)
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	return &output{renderer: renderer, flags: flagNamer{&cobra.Command{}}, out: stdout, progress: &progress{out: streams.NewOut(stderr)}}, stdout, stderr
}

// What the clean-up finds is not lost, although the results have been printed.
func TestResultsAreWrittenOnce(t *testing.T) {
	t.Parallel()
	for format, early := range map[string]bool{"": true, "table {{.Kind}}": true, "mermaid": true, "env": true, "json": false, "markdown": false, "{{.OK}}": false} {
		o, stdout, stderr := outputOf(t, format)
		rep := report.New("run")
		rep.Best = []report.Best{{Vantage: "host", URL: "http://127.0.0.1:1"}}
		o.show(rep)
		assert.Check(t, is.Equal(o.shown != nil, early), format)
		written := stdout.String()
		rep.Findings = []report.Finding{{Cause: "some-cause", Title: "A container is left", Evidence: []string{"it is there"}, Commands: []string{"docker rm it"}}}
		assert.NilError(t, o.finish(rep))
		if early {
			assert.Check(t, is.Equal(stdout.String(), written), format)
			assert.Check(t, is.Equal(stderr.String(), "A container is left\n  it is there\n  docker rm it\n"), format)
			continue
		}
		assert.Check(t, is.Equal(stderr.String(), ""), format)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestResultsThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	o, _, _ := outputOf(t, "")
	o.out = full{}
	o.show(report.New("run"))
	assert.ErrorContains(t, o.finish(report.New("run")), "no space left")
}
