package engine

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/refusal"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// An engine reports only in a sentence why it cannot start a container (status 500, no
// error code), so the cause follows from that sentence.
var (
	// libnetwork/portallocator ("port is already allocated"), the kernel's
	// EADDRINUSE through docker-proxy or Podman's rootlessport, and Docker
	// Desktop's forwarder ("Ports are not available", in its State.Error).
	portTaken = regexp.MustCompile(`(?i)port is already allocated|address already in use|ports are not available`)
	// Podman's, with status 500 (containers/storage, ErrDuplicateName).
	nameTaken = regexp.MustCompile(`container name .* is already in use`)
	// The kernel's ENOEXEC through runc or crun.
	wrongFormat = regexp.MustCompile(`(?i)exec format error`)
	// Docker's answer to a platform that the image on the engine is not for (moby,
	// daemon/images): "… but does not match the specified platform", or "… but its
	// platform (linux/amd64) does not match the specified platform (linux/arm64)".
	otherPlatform = regexp.MustCompile(`does not match the specified platform`)
	// The same as the container's only log line, from runc's init (libcontainer,
	// standard_init_linux.go): in Engine 20.10 it fails only after the start.
	wrongFormatLog = regexp.MustCompile(`^(standard_init_linux\.go:\d+: )?exec .*exec format error$`)
)

// NameIsTaken says whether a container was not created because another container has its
// name.
func NameIsTaken(err error) bool {
	return errdefs.IsConflict(err) || err != nil && nameTaken.MatchString(err.Error())
}

// PortIsTaken says whether an engine, or Swarm, refuses a host port that is in use.
func PortIsTaken(message string) bool { return portTaken.MatchString(message) }

// CreateFault returns the error of creating a container, as a Fault if the cause is known.
// The first argument names the container in a sentence.
func CreateFault(what string, err error) error {
	fault := &report.Fault{Evidence: []string{err.Error()}, Err: fmt.Errorf("creating %s: %w", what, err)}
	switch {
	case NameIsTaken(err):
		fault.Cause, fault.Hint = diagnosis.NameInUse, "run the command again; it uses another name"
	case otherPlatform.MatchString(err.Error()):
		fault.Cause = diagnosis.ImageWrongPlatform
		fault.Hint = "use the engine's own platform, or choose an image that is made for that platform"
	default:
		return fault.Err
	}
	return fault
}

// AttachFault returns the error of attaching to a container that has not been started.
// Podman prepares the start when a client attaches, and reports a failure of that in an
// answer that Docker's client does not read. Starting the container returns the same
// error.
func AttachFault(ctx context.Context, api API, what, id string, err error) error {
	if ctx.Err() != nil || refusal.Is(err) {
		return err
	}
	startErr := api.ContainerStart(ctx, id, container.StartOptions{})
	if startErr == nil {
		return err
	}
	if fault := StartFault(what, startErr); errors.As(fault, new(*report.Fault)) {
		return fault
	}
	return err
}

// StartFault returns the error of starting a container, as a Fault if the cause is known.
// The first argument names the container in a sentence.
func StartFault(what string, err error) error {
	message := strings.TrimSpace(err.Error())
	fault := &report.Fault{Evidence: []string{message}, Err: fmt.Errorf("starting %s: %w", what, err)}
	switch {
	case PortIsTaken(message):
		fault.Cause, fault.Hint = diagnosis.PortInUse, "choose another host port, or none for a free one"
	case wrongFormat.MatchString(message):
		fault.Cause, fault.Hint = diagnosis.ImageWrongPlatform, wrongPlatformHint
	default:
		return fault.Err
	}
	return fault
}

const wrongPlatformHint = "choose an image for the engine's own platform, or a platform that the engine can emulate"
