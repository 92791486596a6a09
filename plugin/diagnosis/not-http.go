package diagnosis

import (
	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// NotHTTP also holds for a server of another protocol that was asked with TLS, or that
// speaks it only over TLS.
var NotHTTP = define("not-http", badAnswer, definition{
	title:    "The server does not speak HTTP",
	hint:     "the server speaks another protocol on this port: choose its HTTP port, or probe it over plain TCP",
	explains: []report.Cause{ServerCloses},
	needs:    secondAnswers,
	second:   true,
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		for _, a := range c.Asked(r, netprobe.AskPlain) {
			if a.Result.Failure == netprobe.NotHTTP {
				return because("asked without TLS: %s", a.Result.Detail)
			}
		}
		for _, a := range c.Asked(r, netprobe.AskTLS) {
			if evidence.SpeaksTLS(&a.Result) && a.Result.Failure == netprobe.NotHTTP {
				return because("asked with TLS, the server completes the handshake, then: %s", a.Result.Detail)
			}
		}
		return nil
	},
})
