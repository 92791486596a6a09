package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/bounds"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Exit is how a container ended.
type Exit struct {
	Code      int64
	OOMKilled bool
	Lines     []string // the last lines that it printed
	Err       error    // why the engine no longer reports the exit; else nil
}

// WatchExit returns a channel that gets the exit of a container. It must be called before
// the start, or it misses a container that exits immediately.
func WatchExit(ctx context.Context, api Reader, id string) <-chan Exit {
	exited := make(chan Exit, 1)
	responses, errs := api.ContainerWait(ctx, id, container.WaitConditionNextExit)
	go func() { // ends with ctx at the latest
		select {
		case response := <-responses:
			exited <- Exit{Code: response.StatusCode}
		case err := <-errs:
			exited <- Exit{Err: err}
		}
	}()
	return exited
}

// HasTerminal says whether a container was made with a terminal (docker run -t).
func HasTerminal(response container.InspectResponse) bool {
	return response.Config != nil && response.Config.Tty
}

// LastLog returns the last lines that a container printed; none if its log driver cannot
// be read. The log of a container with a terminal is a plain stream; in any other log
// stdout and stderr are multiplexed (Engine API, ContainerLogs).
func LastLog(ctx context.Context, api Reader, id string, terminal bool) []string {
	logs, err := api.ContainerLogs(ctx, id, container.LogsOptions{
		ShowStdout: true, ShowStderr: true, Tail: strconv.Itoa(lastLines),
	})
	if err != nil {
		return nil
	}
	defer func() { _ = logs.Close() }()
	var output Tail
	if terminal {
		_, _ = io.Copy(&output, logs)
	} else {
		_ = bounds.Demultiplex(&output, &output, logs)
	}
	return output.Lines()
}

// maxLogLine bounds a log line in evidence, in bytes: what fits a wide terminal.
const maxLogLine = 200

// LogEvidence returns log lines as lines of evidence, each escaped and shortened.
func LogEvidence(lines []string) []string {
	shown := make([]string, len(lines))
	for i, line := range lines {
		shown[i] = "log: " + netprobe.Visible(line, maxLogLine)
	}
	return shown
}

// Fault returns the exit of the container as an error with a cause.
func (e *Exit) Fault(name string) *report.Fault {
	evidence := []string{fmt.Sprintf("container %s exited with code %d", name, e.Code)}
	if e.OOMKilled {
		evidence = append(evidence, "the kernel killed it for using too much memory")
	}
	cause, hint := diagnosis.ServerExited, exitHint(e)
	for _, line := range e.Lines {
		if wrongFormatLog.MatchString(strings.TrimSpace(line)) {
			cause, hint = diagnosis.ImageWrongPlatform, wrongPlatformHint
		}
	}
	evidence = append(evidence, LogEvidence(e.Lines)...)
	return &report.Fault{Cause: cause, Evidence: evidence, Hint: hint, Err: errors.New(diagnosis.Title(cause))}
}

// exitHint follows from the exit code. Docker uses 126 for a command that cannot be
// executed and 127 for one that does not exist.
func exitHint(e *Exit) string {
	switch {
	case e.OOMKilled:
		return "give the container more memory, or reduce what the server needs"
	case e.Code == 0:
		return diagnosis.CommandEnded
	case e.Code == 126:
		return "the command is not executable: check IMAGE's entrypoint and COMMAND"
	case e.Code == 127:
		return "the command does not exist in the image: check IMAGE's entrypoint and COMMAND"
	case len(e.Lines) == 0:
		return "it printed nothing: run the image by hand to see why it exits"
	default:
		return "see its last log lines above, and run the image by hand with the same options"
	}
}
