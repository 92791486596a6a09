package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"

var _ = define(connection.TLSClientCertRejected, noLevel, definition{title: "The engine rejects the client certificate"})
