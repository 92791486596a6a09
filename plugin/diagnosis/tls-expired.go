package diagnosis

import (
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var _ = define(connection.TLSExpired, transport, definition{
	title:    "A certificate is not valid at this time",
	hint:     "renew the server's certificate, or set the clock",
	explains: []report.Cause{connection.TLSUntrusted, connection.TLSHostnameMismatch},
})
