package connection

import (
	"context"
	"net"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/endpointtest"
)

// TestSSHSilent has a dialer that waits forever, as ssh does for a password. The
// package endpoint tests the real ssh.
func TestSSHSilent(t *testing.T) {
	t.Parallel()
	silent := func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		t.Cleanup(func() { _ = far.Close() })
		return near, nil
	}
	s := NewSettings("test", "ssh://127.0.0.1", WithDialer(silent, "ssh -- 127.0.0.1 'docker version'"))
	assert.Equal(t, s.answerTimeout, sshAnswerTimeout)
	s.answerTimeout = 100 * time.Millisecond
	err := connectFails(t, s)
	endpointtest.WantFault(t, err, EngineUnreachable, "no answer over ssh://127.0.0.1", `from context "test"`)
	assert.DeepEqual(t, endpointtest.FaultOf(t, err).Commands, []string{"ssh -- 127.0.0.1 'docker version'"})
}

// TestNoSSH has an ssh endpoint without a dialer.
func TestNoSSH(t *testing.T) {
	t.Parallel()
	err := connectFails(t, NewSettings("test", "ssh://me:secret@127.0.0.1"))
	endpointtest.WantFault(t, err, EngineUnreachable, "there is no ssh here", "ssh://me:xxxxx@127.0.0.1")
}
