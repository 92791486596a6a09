package endpointtest

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// EngineSocket is the socket of this machine's engine. It skips the test under
// -short, which leaves out tests with engines.
func EngineSocket(tb testing.TB) string {
	tb.Helper()
	if testing.Short() {
		tb.Skip("-short leaves out tests with real engines")
	}
	return "/var/run/docker.sock"
}

// FaultOf is the fault that err must be.
func FaultOf(t *testing.T, err error) *report.Fault {
	t.Helper()
	var fault *report.Fault
	assert.Assert(t, errors.As(err, &fault), "not a fault: %v", err)
	return fault
}

// WantFault checks the cause, the text and the evidence of a fault, and what every
// fault must have.
func WantFault(t *testing.T, err error, cause report.Cause, sentence string, evidence ...string) {
	t.Helper()
	fault := FaultOf(t, err)
	t.Logf("%s\n  %s\n  %s", fault, strings.Join(fault.Evidence, "\n  "), strings.Join(fault.Commands, "\n  $ "))
	assert.Equal(t, fault.Cause, cause)
	assert.Assert(t, fault.Cause != "", "the fault has no cause")
	assert.Assert(t, strings.Contains(fault.Error(), sentence), "%q is not in: %s", sentence, fault)
	assert.Assert(t, fault.Hint != "" && strings.HasSuffix(fault.Error(), ": "+fault.Hint), "does not end with what to do: %s", fault)
	assert.Assert(t, !strings.ContainsAny(fault.Error(), "\n\x1b"), "more than a line: %q", fault.Error())
	all := strings.Join(fault.Finding().Evidence, "\n") // as a Report shows it
	for _, want := range append(evidence, "phase reached: ") {
		assert.Assert(t, strings.Contains(all, want), "no %q in the evidence:\n%s", want, all)
	}
}

// WantNoSecret fails for each secret in a printed text.
func WantNoSecret(t *testing.T, secrets []string, printed string) {
	t.Helper()
	for _, secret := range secrets {
		if strings.Contains(printed, secret) {
			t.Errorf("%.20q is shown: %s", secret, printed)
		}
	}
}

// ClosedPort is an address on loopback where nothing listens.
func ClosedPort(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	assert.NilError(t, err)
	assert.NilError(t, listener.Close())
	return listener.Addr().String()
}

// OpenFolder is a folder that every user may pass through.
func OpenFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	assert.NilError(t, os.Chmod(filepath.Dir(dir), 0o755)) //nolint:gosec // other users need it
	return dir
}

// Write makes a file and the folders above it.
func Write(t *testing.T, path string, data []byte) {
	t.Helper()
	assert.NilError(t, os.MkdirAll(filepath.Dir(path), 0o755)) //nolint:gosec // other users' processes read there
	assert.NilError(t, os.WriteFile(path, data, 0o600))
}
