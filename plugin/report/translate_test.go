package report

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// Commands of an agent are written for the user's shell, and those that it cannot take are
// left out.
func TestTranslate(t *testing.T) {
	t.Parallel()
	findings := []Finding{{Hint: "connect it", Commands: []string{"docker logs 'a b'", "docker logs '$(x)'"}}, {Hint: "wait", Commands: []string{}}}
	translate(findings, shell.POSIX)
	assert.DeepEqual(t, findings[0].Commands, []string{"docker logs 'a b'", "docker logs '$(x)'"})
	assert.Equal(t, findings[0].Hint, "connect it")

	translate(findings, shell.Windows)
	assert.DeepEqual(t, findings[0].Commands, []string{`docker logs "a b"`})
	assert.Equal(t, findings[0].Hint, "connect it"+leftOut)
	assert.Equal(t, findings[1].Hint, "wait")

	findings[0].Commands = append(findings[0].Commands, "docker logs '$(x)'")
	translate(findings, shell.Windows)
	assert.Equal(t, strings.Count(findings[0].Hint, leftOut), 1)
}
