package connection

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// sshFault is for an ssh command that could not be started.
func sshFault(err error) *report.Fault {
	var started *exec.Error
	if !errors.As(err, &started) {
		return nil
	}
	why := sentence.Of(err, "the program %s, which the endpoint needs, could not be started", started.Name)
	return unreachable(why, "install an ssh client and see that it is in PATH", "start: "+started.Error())
}

// sshErrors holds the last error of reading from ssh. Docker's client drops it if the
// other side's stderr contains "connection refused" or "dial unix".
type sshErrors struct {
	mu  sync.Mutex
	err error
}

func (s *sshErrors) last() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// record makes dial record the errors of the connections that it opens.
func (s *sshErrors) record(dial Dial) Dial {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if both, ok := conn.(halfCloser); ok {
			return &sshConn{halfCloser: both, by: s}, nil
		}
		return conn, nil
	}
}

// halfCloser is what docker's client needs of a connection to end an attached
// stdin.
type halfCloser interface {
	net.Conn
	CloseRead() error
	CloseWrite() error
}

type sshConn struct {
	halfCloser
	by      *sshErrors
	reading sync.RWMutex // a reader holds it for reading
}

func (c *sshConn) Read(b []byte) (int, error) {
	c.reading.RLock()
	defer c.reading.RUnlock()
	n, err := c.halfCloser.Read(b)
	if err != nil {
		c.by.mu.Lock()
		defer c.by.mu.Unlock()
		c.by.err = err
	}
	return n, err
}

// Write records the error of a read too, if ssh has ended before the request: then
// only a read returns the reason. If another goroutine is reading, Write waits until
// it has recorded that.
func (c *sshConn) Write(b []byte) (int, error) {
	n, err := c.halfCloser.Write(b)
	switch {
	case errors.Is(err, syscall.EPIPE):
		_, _ = c.Read(make([]byte, 1)) // returns immediately: ssh held the other end
	case errors.Is(err, os.ErrClosed):
		c.reading.Lock() // until that has been read
		c.reading.Unlock()
	}
	return n, err
}

// sshCause explains a failure over ssh. The connection helper of docker/cli
// v28.5.2 (commandconn, handleEOF) puts the exit status and the last 4 KiB of
// stderr into the text of its error and nowhere else.
func (c *Connection) sshCause(err error, seen trace) *report.Fault {
	if fault := sshFault(err); fault != nil {
		return fault
	}
	fault := &report.Fault{Cause: EngineUnreachable, Commands: c.settings.use().dialCommands}
	status, stderr := sshOutcome(c.ssh.last())
	for _, line := range stderr {
		fault.Evidence = append(fault.Evidence, "ssh: "+line)
	}
	if status != "" {
		fault.Evidence = append(fault.Evidence, "ssh's exit status: "+status)
	}
	last := "it gave no reason"
	if len(stderr) > 0 {
		last = stderr[len(stderr)-1]
	}
	host := c.settings.Host
	switch {
	case status == "255": // ssh(1): of ssh itself; any other is the remote command's
		fault.Hint = "make `ssh` to this host work without questions"
		fault.Err = sentence.Of(err, "ssh to %s did not succeed (%s)", host, last)
	case status == "127": // POSIX: the shell did not find the command
		fault.Hint = "install docker there, in the PATH of a non-interactive shell"
		fault.Err = sentence.Of(err, "docker is not found on the other side of %s (%s)", host, last)
	case status != "":
		fault.Hint = "see that docker works there for this user"
		fault.Err = sentence.Of(err, "docker on the other side of %s did not reach its engine (%s)", host, last)
	case seen.phase() == netprobe.PhaseAnswer:
		fault.Evidence = append(fault.Evidence, "the client said: "+err.Error())
		fault.Hint = "see that the login shell there prints nothing"
		fault.Err = sentence.Of(err, "what came back over %s is not an engine's answer", host)
	case isTimeout(err):
		fault.Hint = "make `ssh` to this host work without questions"
		fault.Err = sentence.Of(err, "no answer over %s within %s", host, c.settings.answerTimeout)
	default:
		fault.Evidence = append(fault.Evidence, "the client said: "+err.Error())
		fault.Hint = "see what these commands say"
		fault.Err = sentence.Of(err, "the connection over %s broke", host)
	}
	return fault
}

// exitText is how commandconn reports an exit status and stderr.
var exitText = regexp.MustCompile(`(?s)has exited with exit status (\d+), .*?: stderr=(.*)`)

// sshOutcome reads the exit status and the lines of stderr out of an error. Both
// are empty when it does not hold them.
func sshOutcome(err error) (status string, stderr []string) {
	if err == nil {
		return "", nil
	}
	found := exitText.FindStringSubmatch(err.Error())
	if found == nil {
		return "", nil
	}
	const most = 6
	for line := range strings.Lines(found[2]) {
		if line = strings.TrimSpace(line); line != "" {
			stderr = append(stderr, line)
		}
	}
	return found[1], stderr[max(0, len(stderr)-most):]
}
