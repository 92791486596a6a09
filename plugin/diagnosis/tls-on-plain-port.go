package diagnosis

import (
	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var TLSOnPlainPort = define("tls-on-plain-port", transport, definition{
	title:    "The probe used TLS on a port where the server does not speak it",
	hint:     "the server speaks no TLS on this port: probe it over plain HTTP, or turn its TLS on",
	explains: []report.Cause{connection.TLSExpired, connection.TLSUntrusted, connection.TLSHostnameMismatch, ForwarderAcceptsAlone},
	needs:    secondAnswers,
	second:   true,
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		for _, a := range c.Asked(r, netprobe.AskPlain) {
			if a.Result.Status != 0 {
				return because("asked without TLS, the server answers %s", evidence.AnsweredWith(a.Result.Status))
			}
		}
		return nil
	},
})
