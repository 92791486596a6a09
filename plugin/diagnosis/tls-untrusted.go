package diagnosis

import (
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Go checks the name before the authority, so an untrusted certificate has a good name.
var _ = define(connection.TLSUntrusted, transport, definition{
	title:    "The certificate is not signed by a trusted authority",
	hint:     "add the certificate of the server's authority to those that this machine trusts; on Linux, SSL_CERT_FILE names a file of them",
	explains: []report.Cause{connection.TLSHostnameMismatch},
})
