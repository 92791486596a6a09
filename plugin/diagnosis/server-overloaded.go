package diagnosis

import (
	"fmt"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var ServerOverloaded = define("server-overloaded", serverState, definition{
	title:    "Connections wait in the server's accept queue, and it accepts none",
	hint:     "the server's process is busy or blocked: find out what its workers wait for, and give it more of them; a longer queue does not help while no process takes connections from it",
	explains: []report.Cause{ServerSilent},
	shownBy:  ListenersCheck,
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		fault := &report.Fault{}
		full, isFull := c.FullQueue()
		switch {
		case c.OwnLoopback(r):
			return nil
		case c.Seen(r) == facts.SeenWaiting:
			fault = because("the connection to %s arrived at the server, and no process accepts it", r.Address)
		case isFull && (evidence.Unanswered(r.Failure) || evidence.Silent(r.Failure)):
			fault = because("the accept queue of %s is full: %d connections wait, and more are dropped", full.Address, full.Length)
		default:
			return nil
		}
		for _, q := range c.Server.Queues {
			if q.Length > 0 {
				fault.Evidence = appendNew(fault.Evidence, []string{fmt.Sprintf("%d connections wait in the accept queue of %s, whose limit is %d", q.Length, q.Address, q.Limit)})
			}
		}
		if !c.Server.StartedByUs && !c.Server.Host {
			fault.Commands = []string{commandFor(c.Server, "docker top"), commandFor(c.Server, "docker logs")}
		}
		return fault
	},
})
