package diagnosis

import (
	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Go checks the name before the authority, so an untrusted certificate has a good name.
var _ = define(connection.TLSUntrusted, transport, definition{
	title:    "The certificate is not signed by a trusted authority",
	hint:     "add the certificate of the server's authority to those that this machine trusts; on Linux, SSL_CERT_FILE names a file of them",
	explains: []report.Cause{connection.TLSHostnameMismatch},
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		switch roots := c.Vantage.Roots; {
		case r.Failure != netprobe.TLSUntrusted:
			return nil
		case !roots.Known:
			return &report.Fault{}
		case roots.Path == "":
			fault := because("%s has no file of trusted authorities, such as /etc/ssl/certs/ca-certificates.crt", c.Vantage.Place())
			suggest(fault, "mount a file with the certificate of the server's authority in the client, and name it there with SSL_CERT_FILE")
			return fault
		default:
			fault := because("%s trusts the authorities in its %s", c.Vantage.Place(), roots.Path)
			suggest(fault, "add the certificate of the server's authority to %s of the client, or mount another file there and name it with SSL_CERT_FILE", roots.Path)
			return fault
		}
	},
})
