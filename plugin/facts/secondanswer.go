package facts

import (
	"time"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// SecondAnswer is the answer to one more probe of an address, in another way than the
// first one, which was not answered as expected.
type SecondAnswer struct {
	netprobe.Question

	Address string           // as its first probe has it
	Failure netprobe.Failure // of the first probe
	Status  int              // of the answer to the first probe; 0 if there was none
	Result  netprobe.Result
}

// Limit is how long the answer was waited for.
func (a SecondAnswer) Limit() time.Duration { return a.Race.Timeout }
