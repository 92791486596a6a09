package plugin

import (
	"bytes"
	"encoding/json"
	"errors"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/fstest"

	"github.com/docker/cli/cli"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

func testVersion(t *testing.T) report.Version {
	t.Helper()
	build := Build{Version: "v1.2.3", Commit: "0123456789abcdef", CommitTime: "2026-11-28T12:00:00Z"}
	info, err := newVersionInfo(build, fstest.MapFS{
		"nestprobe-agent-linux-amd64": {Data: []byte("one")},
		"nestprobe-agent-linux-arm64": {Data: []byte("two")},
	})
	assert.NilError(t, err)
	return info
}

// What make sets comes before what the go command records.
func TestBuildWithRecorded(t *testing.T) {
	t.Parallel()
	recorded := &debug.BuildInfo{
		Main: debug.Module{Version: "v0.9.0"},
		Settings: []debug.BuildSetting{
			{Key: "GOOS", Value: "plan9"},
			{Key: "vcs.revision", Value: "fedcba"},
			{Key: "vcs.time", Value: "2026-01-01T00:00:00Z"},
		},
	}
	set := Build{Version: "v1.2.3", Commit: "012345", CommitTime: "2026-11-28T12:00:00Z"}
	assert.DeepEqual(t, set.WithRecorded(recorded), set)
	assert.DeepEqual(t, Build{Version: unknownVersion}.WithRecorded(recorded),
		Build{Version: "v0.9.0", Commit: "fedcba", CommitTime: "2026-01-01T00:00:00Z"})
	recorded.Main.Version = "(devel)"
	assert.Equal(t, Build{Version: unknownVersion}.WithRecorded(recorded).Version, unknownVersion)
}

func TestVersionFormats(t *testing.T) {
	t.Parallel()
	info := testVersion(t)
	var out bytes.Buffer
	assert.NilError(t, writeVersion(&out, info, ""))
	assert.Check(t, is.Regexp(`^ Version: +v1\.2\.3
 Git commit: +0123456789abcdef
 Committed: +2026-11-28T12:00:00Z
 Go version: +`+runtime.Version()+`
 OS/Arch: +`+runtime.GOOS+`/`+runtime.GOARCH+`
 Report schema: +1
 Agent linux/amd64: +nestprobe-agent:[0-9a-f]{32}
 Agent linux/arm64: +nestprobe-agent:[0-9a-f]{32}
$`, out.String()))

	out.Reset()
	assert.NilError(t, writeVersion(&out, info, "json"))
	var decoded report.Version
	assert.NilError(t, json.Unmarshal(out.Bytes(), &decoded))
	assert.DeepEqual(t, decoded, info)
	assert.Check(t, is.Contains(out.String(), `"schemaVersion":1,`))

	out.Reset()
	assert.NilError(t, writeVersion(&out, info, "{{.Version}} {{range .Agents}}{{.Platform}} {{end}}"))
	assert.Equal(t, out.String(), "v1.2.3 linux/amd64 linux/arm64 \n")
}

// A plugin that was built outside a clone and without make has no commit and no agent.
func TestVersionWithoutCommit(t *testing.T) {
	t.Parallel()
	info, err := newVersionInfo(Build{Version: unknownVersion}, fstest.MapFS{})
	assert.NilError(t, err)
	var out bytes.Buffer
	assert.NilError(t, writeVersion(&out, info, ""))
	assert.Check(t, is.Regexp(`^ Version: +dev
 Go version: .*
 OS/Arch: .*
 Report schema: +1
 Agent: +none \(build with make\)
$`, out.String()))
	assert.NilError(t, writeVersion(&out, info, "json"))
	assert.Check(t, is.Contains(out.String(), `"agents":[]`))
}

func TestVersionRefusesInvalidFormats(t *testing.T) {
	t.Parallel()
	info := testVersion(t)
	for _, format := range []string{"{{.Nothing}}", "{{.Version"} {
		err := writeVersion(&bytes.Buffer{}, info, format)
		var status cli.StatusError
		assert.Assert(t, errors.As(err, &status), format)
		assert.Equal(t, status.StatusCode, exitNotMeasured)
		assert.ErrorContains(t, err, "invalid --format: ")
	}
}
