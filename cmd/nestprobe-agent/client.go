package main

import (
	"context"

	"github.com/nestprobe/docker-nestprobe/plugin/client"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// clientRole runs an experiment from inside its container, with the Docker API that it is
// sent.
func clientRole(ctx context.Context, _ []string, std stdio) error {
	return runJob(ctx, std, func(ctx context.Context, engine engine.Engine, j *job) (*report.Report, error) {
		options := j.options()
		// An error is ignored: a plugin that no longer reads ends the lease too.
		options.OnPartialReport = func(measured *report.Report) { _ = j.out.send(client.Message{SoFar: measured}) }
		if j.Hold {
			options.BeforeCleanUp = j.keepUntilRelease
		}
		return experiment.Run(ctx, engine, j.Request, options)
	})
}

// keepUntilRelease sends what was measured, and returns at the Release. Until then the
// servers run.
func (j *job) keepUntilRelease(ctx context.Context, measured *report.Report) error {
	if err := j.out.send(client.Message{Measured: measured}); err != nil {
		return err
	}
	select {
	case <-j.released:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
