// Package diagnosis names what can be wrong. A [Cause] is a stable id; a
// [Fault] is an error that carries its cause and the evidence for it. Causes
// are reported only on evidence measured in the same run. The package is used
// by the plugin and by the agent, so it must not know of docker/cli.
package diagnosis

import (
	"errors"
	"fmt"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Cause is the stable id of something that can be wrong. Ids are never reused.
type Cause string

// The causes that commands report so far.
const (
	APIVersionUnsupported Cause = "api-version-unsupported"
	DockerSocketMissing   Cause = "docker-socket-missing"
	DockerSocketPerm      Cause = "docker-socket-permission"
	EndpointIsLoopback    Cause = "in-container-endpoint-is-loopback"
	EngineOSUnsupported   Cause = "engine-os-unsupported"
	EngineUnreachable     Cause = "engine-unreachable"
	ImageUnavailable      Cause = "image-unavailable"
	ImageWrongPlatform    Cause = "image-wrong-platform"
	NameInUse             Cause = "name-in-use"
	NetworkNone           Cause = "network-none"
	PortInUse             Cause = "port-in-use"
	PortNotPublished      Cause = "port-not-published"
	ServerExited          Cause = "server-exited"
	SocketPathNotOnEngine Cause = "socket-path-not-on-engine"
	TLSCertPathMissing    Cause = "tls-cert-path-missing"
	TLSClientCertRejected Cause = "tls-client-cert-rejected"
	TLSExpired            Cause = "tls-expired"
	TLSHostnameMismatch   Cause = "tls-hostname-mismatch"
	TLSNotExpected        Cause = "tls-not-expected"
	TLSRequired           Cause = "tls-required"
	TLSUntrusted          Cause = "tls-untrusted"
	WrongServer           Cause = "wrong-server"
)

var titles = map[Cause]string{
	APIVersionUnsupported: "The engine and this client have no API version in common",
	DockerSocketMissing:   "There is no Docker socket where the endpoint says",
	DockerSocketPerm:      "This user may not open the Docker socket",
	EndpointIsLoopback:    "The endpoint is a loopback address, which leads a container to itself",
	EngineOSUnsupported:   "The engine runs containers of an OS or CPU that has no agent",
	EngineUnreachable:     "No engine can be reached at the Docker endpoint",
	ImageUnavailable:      "The image cannot be had",
	ImageWrongPlatform:    "The image is made for another platform",
	NameInUse:             "The name is already taken",
	NetworkNone:           "The server has no network",
	PortInUse:             "The host port is already taken",
	PortNotPublished:      "The port is not published",
	ServerExited:          "The server exited before it answered",
	SocketPathNotOnEngine: "The path of the Docker socket holds no socket",
	TLSCertPathMissing:    "The TLS files of the endpoint are missing or cannot be read",
	TLSClientCertRejected: "The engine rejects the client certificate",
	TLSExpired:            "A certificate is not valid at this time",
	TLSHostnameMismatch:   "The engine's certificate is for another host name",
	TLSNotExpected:        "The endpoint is set to TLS, but the engine speaks plain HTTP",
	TLSRequired:           "The engine wants TLS, but the endpoint is set to plain HTTP",
	TLSUntrusted:          "The engine's certificate is not signed by the CA of the endpoint",
	WrongServer:           "Another server answered at this address",
}

// Title is the cause in one line.
func (c Cause) Title() string { return titles[c] }

// Fault is an error whose cause is known.
type Fault struct {
	Cause    Cause
	Evidence []string // what was measured, a line each
	Hint     string   // what to do, one sentence
	Commands []string // commands to copy, if there are any
	Err      error    // what happened; may be nil
}

// Error is one sentence: what happened, then what to do.
func (f *Fault) Error() string {
	message := f.Cause.Title()
	if f.Err != nil {
		message = f.Err.Error()
	}
	if f.Hint == "" {
		return message
	}
	return fmt.Sprintf("%s: %s", message, f.Hint)
}

// Unwrap returns the error underneath.
func (f *Fault) Unwrap() error { return f.Err }

// maxLine bounds a line of a finding: several lines of a wide terminal. Evidence
// may quote an engine, a registry or a server.
const maxLine = 1 << 10

// Finding is the fault as a part of a Report, safe to show.
func (f *Fault) Finding() report.Finding {
	return report.Finding{
		Cause:    string(f.Cause),
		Severity: report.SeverityError,
		Title:    f.Cause.Title(),
		Evidence: visible(f.Evidence),
		Hint:     netprobe.Visible(f.Hint, maxLine),
		Commands: visible(f.Commands),
	}
}

func visible(lines []string) []string {
	shown := make([]string, len(lines))
	for i, line := range lines {
		shown[i] = netprobe.Visible(line, maxLine)
	}
	return shown
}

// FromFinding makes an error of a finding that another process has reported, and
// of what it said.
func FromFinding(finding report.Finding, message string) *Fault {
	return &Fault{
		Cause:    Cause(finding.Cause),
		Evidence: finding.Evidence,
		Commands: finding.Commands,
		Err:      errors.New(message),
	}
}
