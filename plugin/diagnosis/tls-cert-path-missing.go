package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"

var _ = define(connection.TLSCertPathMissing, noLevel, definition{title: "The TLS files of the endpoint are missing or cannot be read"})
