package main

import (
	"context"

	"github.com/nestprobe/docker-nestprobe/plugin/client"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// client runs an experiment from inside its container, with the Docker API that
// its work names.
func clientRole(ctx context.Context, _ []string, std stdio) error {
	return runJob(ctx, std, func(ctx context.Context, engine engine.Engine, j *job) (*report.Report, error) {
		options := j.options()
		// As with progress, whoever does not listen any more will end the lease too.
		options.OnPartialReport = func(measured *report.Report) { _ = j.out.send(client.Message{SoFar: measured}) }
		if j.Hold {
			options.BeforeCleanUp = j.keepUntilRelease
		}
		return experiment.Run(ctx, engine, j.Spec, options)
	})
}

// hold tells what was measured and keeps the servers until the release.
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
