package diagnosis

import (
	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// ServerSpeaksHTTP2 holds if the server did not answer a request of HTTP/1, and answers
// the beginning of an HTTP/2 connection with the frame that only such a server sends.
var ServerSpeaksHTTP2 = define("server-speaks-http2", badAnswer, definition{
	title:    "The server speaks only HTTP/2 without TLS, and was probed otherwise",
	hint:     "the server is reached: use a client that begins with HTTP/2, as gRPC and curl --http2-prior-knowledge do, and probe it over plain TCP",
	explains: []report.Cause{ServerCloses, NotHTTP, UnexpectedStatus, ForwarderAcceptsAlone},
	needs:    secondAnswers,
	second:   true,
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		for _, a := range c.Asked(r, netprobe.AskHTTP2) {
			if a.Result.OK {
				return because("asked with HTTP/2 from the first byte on, the server answers with its SETTINGS frame")
			}
		}
		return nil
	},
})
