package render

import (
	"strings"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// failures describes each failure of package netprobe in a few words.
var failures = map[netprobe.Failure]string{
	netprobe.NameNotFound:          "name not found",
	netprobe.NameTimeout:           "name lookup timed out",
	netprobe.Refused:               "connection refused",
	netprobe.Unreachable:           "unreachable",
	netprobe.ConnectTimeout:        "connection timed out",
	netprobe.Reset:                 "connection reset",
	netprobe.ClosedWithoutResponse: "accepted, then closed",
	netprobe.NoResponse:            "accepted, then silent",
	netprobe.Silent:                "accepted, then silent",
	netprobe.Denied:                "answered with a refusal",
	netprobe.TLSUntrusted:          "certificate is not trusted",
	netprobe.TLSHostnameMismatch:   "certificate for another name",
	netprobe.TLSExpired:            "certificate is not valid now",
	netprobe.TLSOnPlainPort:        "answered, but not TLS",
	netprobe.TLSClosed:             "closed during TLS handshake",
	netprobe.TLSHandshake:          "TLS handshake failed",
	netprobe.NotHTTP:               "answered, but not HTTP",
	netprobe.UnexpectedStatus:      "answered with another status",
	netprobe.UnexpectedBody:        "answered with another body",
	netprobe.TruncatedBody:         "answer cut short",
	netprobe.StalledBody:           "answer stalled midway",
	netprobe.WrongServer:           "another server answered",
	netprobe.WebSocketRefused:      "WebSocket refused",
	netprobe.Cancelled:             "cancelled",
	netprobe.NotProbed:             "could not be probed",
}

// failureWords says what happened to a probe that did not work. A failure that the
// table does not have yet is named by its id.
func failureWords(p report.Probe) string {
	text, ok := failures[p.Failure]
	switch {
	case p.Failure == netprobe.Silent && p.Identity == netprobe.IdentityMismatch:
		return "accepted, not by the server"
	case p.Failure == netprobe.Silent && p.Identity == netprobe.IdentityWitnessed:
		return "waits for its process"
	case !ok:
		text = strings.ReplaceAll(string(p.Failure), "-", " ")
	}
	if p.Phase == netprobe.PhaseWebSocket && p.Failure != netprobe.WebSocketRefused {
		return "WebSocket: " + text
	}
	return text
}

// causeAndTitle is the one line that names a finding.
func causeAndTitle(f report.Finding) string {
	if f.Cause == "" {
		return f.Title
	}
	return string(f.Cause) + ": " + f.Title
}

// noAddressTried is what a format of addresses says if the Report has none.
const noAddressTried = "no address was tried"

// placeOf names a vantage in a table: the container in which the command runs is this
// container.
func placeOf(rep *report.Report, vantage string) string {
	switch {
	case !isOwnContainer(rep, vantage):
		return vantage
	case rep.Self.Name == "":
		return "this container"
	default:
		return "this container (" + rep.Self.Name + ")"
	}
}

// isOwnContainer says whether a vantage is the container in which the command runs, which
// has not the network of the engine's host.
func isOwnContainer(rep *report.Report, vantage string) bool {
	return vantage == rep.Self.Vantage() && vantage != report.VantageHost
}
