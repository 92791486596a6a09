package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"

var _ = define(connection.TLSHostnameMismatch, transport, definition{
	title: "The certificate is for another host name",
	hint:  "use a name that the certificate has, or issue one for this address",
})
