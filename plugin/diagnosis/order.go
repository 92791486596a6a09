package diagnosis

import (
	"cmp"
	"slices"
	"sync"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// level is what kind of fault a cause is. Faults of an earlier level come first:
// what the server does matters more than how the network is set, and that more than
// which address was used.
type level int

const (
	noLevel        level = iota // [Explain] does not look for it
	serverState                 // the server cannot answer
	transport                   // packets or TLS fail before the server's answer
	badAnswer                   // the server gives another answer than expected
	networkSetting              // settings keep packets from the server
	addressOnly                 // the address is not the one to use; why others fail is open
)

// causeOrder returns the causes that [Explain] looks for, by level. Within a level a
// cause comes before those that it explains, and otherwise the ids decide.
var causeOrder = sync.OnceValue(func() []cause {
	rest := slices.DeleteFunc(slices.Clone(defined), func(c cause) bool { return c.level == noLevel })
	slices.SortFunc(rest, func(a, b cause) int {
		return cmp.Or(cmp.Compare(a.level, b.level), cmp.Compare(a.id, b.id))
	})
	ordered := make([]cause, 0, len(rest))
	for len(rest) > 0 {
		next := slices.IndexFunc(rest, func(c cause) bool { return !explained(c.id, rest) })
		next = max(next, 0) // a test ensures that no cause explains itself
		ordered = append(ordered, rest[next])
		rest = slices.Delete(rest, next, next+1)
	}
	return ordered
})

// explained says whether one of some causes explains a cause.
func explained(id report.Cause, by []cause) bool {
	return slices.ContainsFunc(by, func(c cause) bool { return slices.Contains(c.explains, id) })
}
