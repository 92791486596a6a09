package experiment

import (
	"time"

	"github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
)

// Spec says what to start and what a good answer is.
type Spec struct {
	Image    string   // the user's image; empty for the built-in server
	Command  []string // its command and arguments
	Env      []string
	User     string
	AddHosts []string
	Platform *ocispec.Platform // nil: the engine's own
	Pull     engine.PullPolicy

	Port      uint16 // in the container; 0: the one that is published or that the image exposes
	Scheme    netprobe.Scheme
	Path      string
	Expect    netprobe.Expect
	WebSocket string // path; empty for none

	// PublishPort publishes Port on all addresses, at a host port of the
	// engine's choice; else Exposed and Bindings say what is published.
	PublishPort bool
	Exposed     nat.PortSet
	Bindings    nat.PortMap

	Networks  []Network                 // in docker's order; empty for the engine's default
	Temporary []engine.TemporaryNetwork // networks to make and remove again, instead of Networks
	Peer      bool                      // ask from another container on the first network too

	// Modes are network modes to measure, with one server each, instead of the
	// networks above; none to measure just those.
	Modes []ModeSpec

	Servers int
	Wait    time.Duration // how long a server may take to answer
	WaitOut bool          // wait so long for a built-in server that is known to listen, too
	Timeout time.Duration // one attempt at one candidate
	Keep    bool          // leave the servers running
	Lasting bool          // no deadline: the servers live as long as whoever has their lease
}

// Connection is how the servers of one network mode are connected: the fields of
// Spec of these names.
type Connection struct {
	Networks  []Network
	Temporary []engine.TemporaryNetwork
	Peer      bool
}

// Network is one network to put the servers on.
type Network struct {
	Name     string // or "host", "none"
	Endpoint *network.EndpointSettings
}

// Builtin says whether the built-in server is started.
func (s Spec) Builtin() bool { return s.Image == "" }

// perServer is added for each server: 50 at once took 226 ms each on Engine
// 20.10 with two cores, and slow disks deserve a multiple.
const perServer = time.Second

// pullAllowance is added for a helper that waits for a pull: an image of a gigabyte at
// 2 MB/s takes as long. All helpers but a nested engine have a lease, and go with that
// whatever their deadline is.
const pullAllowance = 10 * time.Minute

// pulling is how long a helper may have to wait for the user's image.
func (s Spec) PullAllowance() time.Duration {
	if s.Builtin() || s.Pull == engine.PullNever {
		return 0
	}
	return pullAllowance
}

// labels are those of a run that starts now and may take some time beyond what its
// spec says.
func (s Spec) Labels(id string, now time.Time, more ...time.Duration) engine.Labels {
	lifetime := s.Wait*time.Duration(1+len(s.Modes)) + engine.DeadlineMargin + time.Duration(s.Servers)*perServer
	for _, d := range more {
		lifetime += d
	}
	return engine.NewLabels(id, now, lifetime, s.Keep || s.Lasting)
}
