package engine

import (
	"context"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// The kernel's ENOEXEC says that it cannot execute a file, not why. Mostly the image is for
// another platform. If it is not, the file itself is wrong.
const (
	wrongFormatTitle = "The engine cannot execute the file that is started"
	wrongFormatHint  = "the image is made for the engine's platform, so the file that is started is a script without a first line such as #!/bin/sh, or a program for another CPU"
)

// CorrectPlatform corrects what a fault says about a file that the kernel cannot execute, if
// the image is known to be made for the engine's platform.
func (e Engine) CorrectPlatform(ctx context.Context, fault *report.Fault, image string) {
	if fault.Cause == diagnosis.ImageWrongPlatform && e.isOwnPlatform(ctx, image) {
		fault.Title, fault.Hint = wrongFormatTitle, wrongFormatHint
	}
}

// isOwnPlatform says whether an image is known to be made for the engine's CPU.
func (e Engine) isOwnPlatform(ctx context.Context, image string) bool {
	if e.API == nil || e.Describe == nil {
		return false
	}
	described, err := e.Describe(ctx)
	if err != nil || described.Endpoint.Engine.Arch == "" {
		return false
	}
	found, err := e.API.ImageInspect(ctx, image)
	return err == nil && found.Architecture == described.Endpoint.Engine.Arch
}
