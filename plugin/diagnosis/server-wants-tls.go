package diagnosis

import (
	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// ServerWantsTLS holds if the server did not answer plain HTTP, and answers the same
// request over TLS. If it speaks another protocol than HTTP in there, see NotHTTP.
var ServerWantsTLS = define("server-wants-tls", transport, definition{
	title:    "The server expects TLS on this port, and was probed without",
	hint:     "use https: the server speaks HTTP only over TLS on this port",
	explains: []report.Cause{NotHTTP, UnexpectedStatus, ForwarderAcceptsAlone},
	needs:    secondAnswers,
	second:   true,
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		for _, a := range c.Asked(r, netprobe.AskTLS) {
			switch {
			case !evidence.SpeaksTLS(&a.Result) || a.Result.Failure == netprobe.NotHTTP:
				continue
			case a.Result.TLS == "":
				return because("asked with TLS, the server answers with TLS: %s", a.Result.Detail)
			}
			fault := because("asked with TLS, the server completes the handshake: %s", a.Result.TLS)
			if a.Result.Status != 0 {
				also(fault, "over https it answers %s", evidence.AnsweredWith(a.Result.Status))
			}
			return fault
		}
		return nil
	},
})
