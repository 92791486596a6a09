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
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/bounds"
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
	// libnetwork's IPAM (ipamapi.ErrIPAlreadyAllocated): the container's own address, from
	// docker run --ip, is another container's.
	addressTaken = regexp.MustCompile(`(^|daemon: |networking: )Address already in use$`)
	// Podman's, with status 500 (containers/storage, ErrDuplicateName).
	nameTaken = regexp.MustCompile(`container name .* is already in use`)
	// Docker's answer to a platform that the image on the engine is not for (moby,
	// daemon/images): "… but does not match the specified platform", or "… but its
	// platform (linux/amd64) does not match the specified platform (linux/arm64)". Engine 29,
	// with images in containerd: "… but does not provide the specified platform (linux/arm64)".
	otherPlatform = regexp.MustCompile(`does not (match|provide) the specified platform`)
	// The same in the container's log, from runc's init (libcontainer,
	// standard_init_linux.go), which in Engine 20.10 fails only after the start, and from
	// crun's (container.c), which logs JSON.
	wrongFormatLog = regexp.MustCompile(`^(standard_init_linux\.go:\d+: )?exec .*exec format error$|exec container process .*: Exec format error`)
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

// attachReason is in Podman's error of an attach that says why the container cannot be
// started (libpod, Container.Attach).
var attachReason = regexp.MustCompile(`preparing container \S+ for attach: `)

// AttachFault returns the error of attaching to a container that has not been started.
// Podman prepares the start when a client attaches. Where its answer does not say why that
// failed, starting the container returns the error. Where it does, another start would
// find its port taken by what is left of the first.
func AttachFault(ctx context.Context, api API, what, id string, err error) error {
	if ctx.Err() != nil || refusal.Is(err) || bounds.Is(err) {
		return err
	}
	if at := attachReason.FindStringIndex(err.Error()); at != nil {
		return StartFault(what, errors.New(err.Error()[at[1]:]))
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

// addressTakenHint is for a container that was given an address of its own.
const addressTakenHint = "another container has the address that this one was given (docker run --ip): docker network inspect lists who has which; choose a free one, or none"

// knownErrors are the causes of errors when a container is started or joins a network, by a part of the message. The first
// that matches counts.
var knownErrors = []struct {
	message *regexp.Regexp
	cause   report.Cause
	hint    string
}{
	// rootlesskit and Podman's rootlessport, pasta, and the kernel's EACCES through a
	// forwarder.
	{
		regexp.MustCompile(`(?i)cannot expose privileged port|(listen (tcp|udp)|failed to bind port).*permission denied`), diagnosis.PortReserved,
		"choose a host port of 1024 or higher, or allow lower ones on the engine's host: net.ipv4.ip_unprivileged_port_start",
	},
	// WSAEACCES through Docker Desktop's forwarder.
	{
		regexp.MustCompile(`(?i)forbidden by its access permissions`), diagnosis.PortReserved,
		"choose a host port outside the ranges that Windows reserves: netsh interface ipv4 show excludedportrange protocol=tcp",
	},
	{addressTaken, diagnosis.ContainerNotStarted, addressTakenHint},
	{portTaken, diagnosis.PortInUse, "choose another host port, or none for a free one"},
	// libnetwork/portallocator (ErrAllPortsAllocated): no port of its range is free.
	{
		regexp.MustCompile(`(?i)all ports are allocated`), diagnosis.PortInUse,
		"the engine has no free host port to choose: remove containers that publish ports, publish to a port of your own choice, or publish none",
	},
	{firewallBroken, diagnosis.EngineFirewallBroken, firewallHint},
	// libnetwork's, of one network (network.go, and ipamapi.ErrNoAvailableIPs).
	{
		regexp.MustCompile(`(?i)no available (ipv[46] )?addresses on`), diagnosis.AddressPoolsExhausted,
		"the network has no free address: remove containers from it, or create it anew with a larger subnet",
	},
	// The kernel's ENOEXEC through runc or crun.
	{regexp.MustCompile(`(?i)exec format error`), diagnosis.ImageWrongPlatform, wrongPlatformHint},
}

// firewallBroken matches the errors of iptables (in both its variants) and nft that an engine
// quotes, and libnetwork's about its own chains (drivers/bridge, iptabledoc).
var firewallBroken = regexp.MustCompile(`(?i)No chain/target/match by that name|iptables failed|Failed to Setup IP tables|can't initialize iptables|Chain '\S+' does not exist|nftables?:? .*No such file or directory`)

// firewallHint is for both: a chain that another program has removed, and a firewall that the
// engine cannot use at all.
const firewallHint = "if a chain is missing, restart the engine, which makes its chains again; otherwise fix what the firewall's program reports"

// StartFault returns the error of starting a container, as a Fault if the cause is known.
// The first argument names the container in a sentence.
func StartFault(what string, err error) error {
	return knownFault(err, fmt.Errorf("starting %s: %w", what, err))
}

// knownFault returns err, as a Fault if what the engine has said has a known cause.
func knownFault(said, err error) error {
	message := strings.TrimSpace(said.Error())
	for _, known := range knownErrors {
		if known.message.MatchString(message) {
			return &report.Fault{Cause: known.cause, Evidence: []string{message}, Hint: known.hint, Err: err}
		}
	}
	return err
}

const wrongPlatformHint = "choose an image for the engine's own platform, or a platform that the engine can emulate"
