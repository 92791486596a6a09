package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// exit is how a server's container ended.
type Exit struct {
	Code      int64
	OOMKilled bool
	Lines     []string // the last it printed
	Err       error    // the engine could not be watched any longer
}

// watch tells when the container exits. It must be called before the start, or
// a server that exits at once is missed.
func WatchExit(ctx context.Context, api API, id string) <-chan Exit {
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

// hasTerminal says whether a container was made with a terminal (docker run -t).
func HasTerminal(response container.InspectResponse) bool {
	return response.Config != nil && response.Config.Tty
}

// lastLog is what a container printed last; none where its log driver cannot be
// read. The log of a container with a terminal is what came out of that; that of
// any other is parted into stdout and stderr (Engine API, ContainerLogs).
func LastLog(ctx context.Context, api API, id string, terminal bool) []string {
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
		_, _ = stdcopy.StdCopy(&output, &output, logs)
	}
	return output.Lines()
}

// maxLogLine bounds a log line in evidence: what fits a wide terminal.
const maxLogLine = 200

// logEvidence shows log lines as lines of evidence.
func LogEvidence(lines []string) []string {
	shown := make([]string, len(lines))
	for i, line := range lines {
		shown[i] = "log: " + netprobe.Visible(line, maxLogLine)
	}
	return shown
}

// fault is the exit of a container as a finding.
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

// exitHint follows from the exit code alone; 125 to 127 are docker's own, and
// above 128 is 128 plus a signal's number, by the shell's convention.
func exitHint(e *Exit) string {
	switch {
	case e.OOMKilled:
		return "give the container more memory, or the server less to do"
	case e.Code == 0:
		return "the command ended by itself: start the server in the foreground"
	case e.Code == 126:
		return "the command is not executable: check IMAGE's entrypoint and COMMAND"
	case e.Code == 127:
		return "the command does not exist in the image: check IMAGE's entrypoint and COMMAND"
	case len(e.Lines) == 0:
		return "it printed nothing: run the image by hand to see why it ends"
	default:
		return "see its last log lines above, and run the image by hand with the same options"
	}
}
