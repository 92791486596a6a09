//go:build unix

package render

import (
	"bytes"
	"os/exec"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// A shell reads the intended value, or none, and runs no command.
func FuzzEnvInAShell(f *testing.F) {
	for _, text := range hostileTexts {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rep := escape(&report.Report{
			Probes: []report.Probe{{Vantage: text, URL: text, Address: text, OK: true}},
			Best:   []report.Best{{Vantage: text, URL: text}},
		})
		var out bytes.Buffer
		assert.NilError(t, writeEnv(&out, rep))
		checkEnv(t, out.String())
		sh := exec.CommandContext(t.Context(), "sh", "-c", `PATH=; eval "$1" && printf %s "$NESTPROBE_URL"`, "sh", out.String())
		sh.Dir, sh.Env = t.TempDir(), []string{}
		got, err := sh.CombinedOutput()
		assert.NilError(t, err, "%s", got)
		want := rep.Best[0].URL
		if _, ok := shell.EnvValue(want); !ok {
			want = ""
		}
		assert.Equal(t, string(got), want)
	})
}
