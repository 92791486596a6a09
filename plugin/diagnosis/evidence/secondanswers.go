package evidence

import (
	"fmt"
	"net/http"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
)

// Asked returns the answers to the probes in another way that are about a row: those to
// its address, or to another one that failed as it did.
func (c *Case) Asked(r Row, way netprobe.Way) []*facts.SecondAnswer {
	var about []*facts.SecondAnswer
	for i := range c.Vantage.Asked {
		a := &c.Vantage.Asked[i]
		alike := a.Failure == r.Failure && a.Status == r.Status && r.Identity != netprobe.IdentityMismatch
		if a.Way == way && alike {
			about = append(about, a)
		}
	}
	return about
}

// AnsweredWith says how a server answered in HTTP.
func AnsweredWith(status int) string {
	if text := http.StatusText(status); text != "" {
		return fmt.Sprintf("%d (%s)", status, text)
	}
	return fmt.Sprint(status)
}

// SpeaksTLS says whether a server answered a handshake with TLS, whether or not it was
// completed.
func SpeaksTLS(r *netprobe.Result) bool { return r.TLS != "" || r.Failure == netprobe.TLSHandshake }
