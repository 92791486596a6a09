package connection

import (
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/refusal"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// The Docker endpoint and the engine behind it.
const (
	APIForbidden                       = refusal.APIForbidden
	APIVersionUnsupported report.Cause = "api-version-unsupported"
	ClockSkew             report.Cause = "clock-skew"
	ContextBroken         report.Cause = "context-broken"
	DockerSocketMissing   report.Cause = "docker-socket-missing"
	DockerSocketPerm      report.Cause = "docker-socket-permission"
	EndpointIsLoopback    report.Cause = "in-container-endpoint-is-loopback"
	EndpointMalformed     report.Cause = "endpoint-malformed"
	EngineUnreachable     report.Cause = "engine-unreachable"
	HTTPProxyInterferes   report.Cause = "http-proxy-interferes"
	SocketPathNotOnEngine report.Cause = "socket-path-not-on-engine"
	TLSCertPathMissing    report.Cause = "tls-cert-path-missing"
	TLSClientCertRejected report.Cause = "tls-client-cert-rejected"
	TLSExpired            report.Cause = "tls-expired"
	TLSHostnameMismatch   report.Cause = "tls-hostname-mismatch"
	TLSNotExpected        report.Cause = "tls-not-expected"
	TLSRequired           report.Cause = "tls-required"
	TLSUntrusted          report.Cause = "tls-untrusted"
)
