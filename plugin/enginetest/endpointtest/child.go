// Package endpointtest is shared by the tests of an endpoint and of its connection:
// child processes to resolve and connect in, certificates, and the checks that hold
// for every fault. Nothing else uses it. It must not know of the packages that it
// helps to test.
package endpointtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// childMark makes a test binary resolve and connect once with the arguments of
// its command line, print an Outcome as JSON, and exit. The docker CLI reads
// some variables when the process starts, and root passes every check of
// permissions, so such tests need a child process.
const childMark = "NESTPROBE_ENDPOINT_CHILD"

// Outcome is the result of one resolution and connection.
type Outcome struct {
	Endpoint  Endpoint
	Described report.Endpoint
	Node      string // the engine's Swarm node address
	Platform  string // OS/CPU
	Error     string
	Finding   *report.Finding
}

// Endpoint is the resolved endpoint, as in JSON.
type Endpoint struct {
	Context   string `json:"context"`
	Host      string `json:"host"`
	Transport string `json:"transport"`
	TLS       bool   `json:"tls"`
}

// Failed returns the outcome with an error, or as it is without one.
func (o Outcome) Failed(err error) Outcome {
	if err == nil {
		return o
	}
	o.Error = err.Error()
	var fault *report.Fault
	if errors.As(err, &fault) {
		finding := fault.Finding()
		o.Finding = &finding
	}
	return o
}

// Fault is the error of the outcome as it was in the child.
func (o Outcome) Fault() error {
	if o.Finding == nil {
		return errors.New("no fault: " + o.Error)
	}
	return &report.Fault{
		Cause:    o.Finding.Cause,
		Evidence: o.Finding.Evidence,
		Hint:     o.Finding.Hint,
		Commands: o.Finding.Commands,
		Err:      errors.New(strings.TrimSuffix(o.Error, ": "+o.Finding.Hint)),
	}
}

// Main runs the tests of a package, engines included, or try if this process is a
// child. TestMain calls it, and it does not return.
func Main(m *testing.M, try func(ctx context.Context, args []string) Outcome) {
	if os.Getenv(childMark) == "" {
		enginetest.Main(m)
	}
	if err := child(try); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func child(try func(context.Context, []string) Outcome) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // only guards against hanging
	defer cancel()
	return json.NewEncoder(os.Stdout).Encode(try(ctx, os.Args[1:]))
}

// Environment is added to a child's minimal environment.
type Environment map[string]string

// List is the whole environment, for [exec.Cmd].
func (e Environment) List(t *testing.T) []string {
	t.Helper()
	all := map[string]string{"PATH": os.Getenv("PATH"), "HOME": t.TempDir()}
	maps.Copy(all, e)
	list := make([]string, 0, len(all))
	for name, value := range all {
		list = append(list, name+"="+value)
	}
	return list
}

// childMarks make a process a child. It ends immediately and, under -cover, has a
// folder to write to, whichever user it runs as.
func childMarks(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	assert.NilError(t, os.Chmod(filepath.Dir(dir), 0o755)) //nolint:gosec // children of other users write there
	assert.NilError(t, os.Chmod(dir, 0o777))               //nolint:gosec // as above
	return []string{childMark + "=1", "GORACE=atexit_sleep_ms=0", "GOCOVERDIR=" + dir}
}

// InChild resolves and connects in a child process. adjust may change how the process
// is started.
func InChild(t *testing.T, env Environment, adjust func(*exec.Cmd), args ...string) Outcome {
	t.Helper()
	self, err := os.Executable()
	assert.NilError(t, err)
	cmd := exec.CommandContext(t.Context(), self, args...) //nolint:gosec // the test itself
	cmd.Env = env.List(t)
	if adjust != nil {
		adjust(cmd)
	}
	return RunChild(t, cmd)
}

// RunChild runs a command that starts this test binary, and reads the outcome.
func RunChild(t *testing.T, cmd *exec.Cmd) Outcome {
	t.Helper()
	cmd.Env = append(cmd.Env, childMarks(t)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	assert.NilError(t, err, "stderr: %s", stderr.String())
	assert.Equal(t, stderr.String(), "", "the package must not print")
	var result Outcome
	assert.NilError(t, json.Unmarshal(out, &result), "stdout: %s", out)
	return result
}
