//go:build linux

package plugin_test

import (
	"context"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// The command that --keep prints removes what it leaves running.
func TestKeepPrintsRemoveCommand(t *testing.T) {
	t.Parallel()
	onEach(t, privateKinds(), func(t *testing.T, b *bench) {
		stderr := b.succeeds(t, "run", "--keep", "-q", "--servers", "2", "--network-driver", "bridge")
		kept := b.containers(t)
		assert.Assert(t, is.Len(kept, 2))
		for _, c := range kept {
			assert.Check(t, is.Equal(c.State, "running"))
			assert.Check(t, is.Equal(c.Labels[engine.LabelDeadline], "never"))
			found, err := b.api.ContainerInspect(t.Context(), c.ID)
			assert.NilError(t, err)
			assert.Check(t, !found.Config.OpenStdin, "a kept server has a lease")
		}
		assert.Check(t, is.Equal(b.succeeds(t, "run", "-q"), ""), "kept servers are leftovers")
		assert.Assert(t, is.Len(b.containers(t), 2))
		b.removeKept(t, stderr)
		checkNothingLeft(t, b.Engine)
	})
}

// removeCommandIn finds the command that --keep has printed on stderr.
func removeCommandIn(stderr string) (command string, ok bool) {
	_, rest, ok := strings.Cut(stderr, "Kept; to remove: ")
	command, _, _ = strings.Cut(rest, "\n")
	return command, ok
}

// removeKept runs the command that --keep has printed on stderr.
func (b *bench) removeKept(t *testing.T, stderr string) {
	t.Helper()
	command, ok := removeCommandIn(stderr)
	assert.Assert(t, ok, "%s", stderr)
	out, err := b.Command(t.Context(), "sh", "-c", command).CombinedOutput()
	assert.NilError(t, err, "%s: %s", command, out)
}

// An interrupted run keeps nothing.
func TestKeepInterrupted(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Toolbox)
	p := start(t, b.nestprobe(t, b.silent("--keep", "--network-driver", "bridge")...))
	b.awaitRunning(t)
	p.signal(t, syscall.SIGINT)
	assert.Check(t, is.Equal(p.status(t), statusInterrupted))
	checkNothingLeft(t, b.Engine)
}

// If a helper could not be removed, --keep still prints the command that removes what
// was kept.
func TestKeepPrintsRemoveCommandWithHelperLeft(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Engine28_5)
	b.makeContainer(t, "users", "", nil, true)
	over, end := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(end)
	var once sync.Once
	tap := startTap(t, b.Engine, func(m moment) {
		if strings.HasPrefix(m.Request, "DELETE /containers/") && strings.HasSuffix(m.Request, "-from") {
			once.Do(func() { _ = syscall.Kill(m.Client, syscall.SIGINT) })
			<-over.Done() // it is not passed on
		}
	})
	p := start(t, through(b.nestprobe(t, inside("--from", "users", "--keep")...), tap))
	assert.Check(t, is.Equal(p.status(t), statusInterrupted), "%s", &p.stderr)
	assert.Check(t, is.Contains(p.stderr.String(), "interrupted; removing container "))
	b.removeKept(t, p.stderr.String())
	b.awaitGone(t) // the helper has a lease
	checkNothingLeft(t, b.Engine)
}

// If the output cannot be written, the command exits with an error, removes what it made,
// and still prints how to remove what it keeps.
func TestOutputCannotBeWritten(t *testing.T) { //nolint:tparallel // one engine, on which each looks for what is left
	t.Parallel()
	b := newBench(t, enginetest.Toolbox)
	full := func(t *testing.T) *os.File {
		t.Helper()
		file, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		assert.NilError(t, err)
		return file
	}
	unread := func(t *testing.T) *os.File {
		t.Helper()
		reader, writer, err := os.Pipe()
		assert.NilError(t, err)
		assert.NilError(t, reader.Close())
		return writer
	}
	tests := []struct {
		name string
		open func(*testing.T) *os.File
		want string
	}{
		{"full disk", full, "writing the report: write /dev/stdout: no space left on device\n"},
		{"closed pipe", unread, "writing the report: write /dev/stdout: broken pipe\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := startWriting(t, b.nestprobe(t, "run"), test.open(t))
			assert.Check(t, is.Equal(p.status(t), 125))
			assert.Check(t, is.Equal(p.messages(), test.want))
			checkNothingLeft(t, b.Engine)
		})
		t.Run(test.name+" and kept", func(t *testing.T) {
			p := startWriting(t, b.nestprobe(t, "run", "--keep"), test.open(t))
			assert.Check(t, is.Equal(p.status(t), 125))
			b.removeKept(t, p.stderr.String())
			checkNothingLeft(t, b.Engine)
		})
	}
	for _, test := range []struct {
		args []string
		want string // the first line begins with it
	}{
		{[]string{"run", "--pull", "never", "nestprobe-test-missing:1"}, "image nestprobe-test-missing:1: it is not on the engine, "},
		{[]string{"diagnose", "nestprobe-test-missing"}, "there is no container or service nestprobe-test-missing: "},
	} {
		t.Run("full disk and "+test.args[0], func(t *testing.T) {
			p := startWriting(t, b.nestprobe(t, test.args...), full(t))
			assert.Check(t, is.Equal(p.status(t), 125))
			first, second, _ := strings.Cut(p.messages(), "\n")
			assert.Check(t, strings.HasPrefix(first, test.want), first)
			assert.Check(t, is.Equal(second, tests[0].want))
		})
	}
	t.Run("full disk and interrupted", func(t *testing.T) {
		p := startWriting(t, b.nestprobe(t, b.silent()...), full(t))
		b.awaitRunning(t)
		p.signal(t, syscall.SIGINT)
		assert.Check(t, is.Equal(p.status(t), statusInterrupted))
		assert.Check(t, is.Equal(p.messages(), "interrupted\n"+tests[0].want))
		checkNothingLeft(t, b.Engine)
	})
}
