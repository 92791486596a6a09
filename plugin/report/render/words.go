package render

import (
	"strings"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// failures says in a few words what each failure of package netprobe is.
var failures = map[netprobe.Failure]string{
	"name-not-found":          "name not found",
	"name-timeout":            "name lookup timed out",
	"refused":                 "connection refused",
	"unreachable":             "no route to host",
	"connect-timeout":         "connecting timed out",
	"reset":                   "connection reset",
	"closed-without-response": "accepted, then closed",
	"no-response":             "accepted, then silent",
	"tls-untrusted":           "its certificate is not trusted",
	"tls-hostname-mismatch":   "certificate for another name",
	"tls-expired":             "certificate is not valid now",
	"tls-on-plain-port":       "answered, but not TLS",
	"tls-closed":              "closed during TLS handshake",
	"tls-handshake":           "TLS handshake failed",
	"not-probed":              "could not be tried",
	"not-http":                "answered, but not in HTTP",
	"unexpected-status":       "answered with another status",
	"unexpected-body":         "answered with another body",
	"truncated-body":          "answer cut short",
	"stalled-body":            "answer stalled midway",
	"wrong-server":            "another server answered",
	"websocket-refused":       "WebSocket refused",
}

// words says what happened to a probe that did not work. A failure without
// words of its own is named by its id: the vocabulary may grow before this
// table does.
func words(p report.Probe) string {
	text, ok := failures[p.Failure]
	if !ok {
		text = strings.ReplaceAll(string(p.Failure), "-", " ")
	}
	if p.Phase == "websocket" && p.Failure != "websocket-refused" {
		return "WebSocket: " + text
	}
	return text
}
