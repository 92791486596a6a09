package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/report"

const HTTPProxyInterferes report.Cause = "http-proxy-interferes"

var _ = define(HTTPProxyInterferes, definition{title: "A proxy setting would catch this address"})
