package reaper_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/reaper"
)

// asProcess makes this test's program the process of a reaper: it writes what it reads into the
// file that follows, and then the line of a process that has removed everything.
const asProcess = "as-process"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == asProcess {
		writeLines(os.Args[2])
		return
	}
	os.Exit(m.Run())
}

func writeLines(file string) {
	var lines []byte
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		lines = append(append(lines, in.Bytes()...), '\n')
	}
	if os.WriteFile(file, append(lines, "end\n"...), 0o600) == nil {
		fmt.Println("removed")
	}
}

func TestReaper(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		end  func(*reaper.Reaper)
		want string
	}{
		"released":  {(*reaper.Reaper).Release, "run a\nrun b\ndone\nend\n"},
		"abandoned": {func(r *reaper.Reaper) { r.Abandon(time.Minute) }, "run a\nrun b\nend\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "lines")
			r := reaper.New(asProcess, file)
			r.Announce("a")
			r.Announce("b")
			test.end(r)
			r.Release() // does nothing more
			got, err := os.ReadFile(file)
			assert.NilError(t, err)
			assert.Check(t, is.Equal(string(got), test.want))
		})
	}
}

// A reaper that has nothing to remove starts no process.
func TestReaperStartsNoProcess(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "lines")
	r := reaper.New(asProcess, file)
	r.Release()
	_, err := os.Stat(file)
	assert.Check(t, os.IsNotExist(err), "%v", err)
}
