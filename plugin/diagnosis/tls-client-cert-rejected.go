package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"

var _ = define(connection.TLSClientCertRejected, definition{title: "The engine rejects the client certificate"})
