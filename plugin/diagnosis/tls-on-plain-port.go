package diagnosis

import (
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

const TLSOnPlainPort report.Cause = "tls-on-plain-port"

var _ = define(TLSOnPlainPort, definition{
	title:    "The probe used TLS on a port where the server does not speak it",
	hint:     "the server speaks no TLS on this port: probe it over plain HTTP, or turn its TLS on",
	level:    transport,
	explains: []report.Cause{connection.TLSExpired, connection.TLSUntrusted, connection.TLSHostnameMismatch},
	answer:   true,
})
