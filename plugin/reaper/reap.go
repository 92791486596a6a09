package reaper

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
)

// Times of a removal.
const (
	// lookAgain is the pause between two looks at the engine.
	lookAgain = 500 * time.Millisecond
	// lateLimit is how long after the end of the command the engine may still make what the
	// command has requested. Such requests took 12 to 60 ms, and seconds on a busy engine.
	lateLimit = 10 * time.Second
	// lookLimit bounds one look: what it cannot remove, the next one tries again.
	lookLimit = 10 * time.Second
	// totalLimit bounds the whole removal, for an engine that restarts or hangs.
	totalLimit = time.Minute
)

// Connect connects to the engine of the command. The caller calls disconnect.
type Connect func(context.Context) (connected engine.Engine, disconnect func(), err error)

// Reap reads from in which runs a command makes, until in ends. Unless the command has said
// that nothing is left to do, Reap then removes what carries their labels, and looks again for
// what the engine makes late. It returns within totalLimit after the end of in. When everything
// has been removed for the first time, it writes a line to out.
func Reap(ctx context.Context, in io.Reader, out io.Writer, connect Connect) error {
	var runs []string
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if lines.Text() == lineDone {
			return nil
		}
		if run, ok := strings.CutPrefix(lines.Text(), linePrefix); ok {
			runs = append(runs, run)
		}
	}
	if len(runs) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, totalLimit)
	defer cancel()
	return removeRuns(ctx, runs, out, connect)
}

func removeRuns(ctx context.Context, runs []string, out io.Writer, connect Connect) error {
	late := time.Now().Add(lateLimit)
	written := false
	for {
		err := look(ctx, runs, connect)
		if err == nil && !written {
			written = true
			_, _ = fmt.Fprintln(out, lineGone) // the command may have ended
		}
		if err == nil && time.Now().After(late) || !engine.Pause(ctx, lookAgain) {
			return err
		}
	}
}

// look removes what it finds of the runs.
func look(ctx context.Context, runs []string, connect Connect) error {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	connected, disconnect, err := connect(ctx)
	if err != nil {
		return err
	}
	defer disconnect()
	errs := make([]error, len(runs))
	for i, run := range runs {
		_, errs[i] = engine.RemoveRun(ctx, connected, run)
	}
	return errors.Join(errs...)
}
