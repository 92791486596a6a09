package experiment

import (
	"time"

	"github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
)

// Spec says which servers to start and which answer is right.
type Spec struct {
	Image    string   // the user's image; empty for the built-in server
	Command  []string // its command and arguments
	Env      []string
	User     string
	AddHosts []string
	Platform *ocispec.Platform // nil for the engine's own
	Pull     engine.PullPolicy

	Port      uint16 // in the container; 0 for the one that is published or that the image exposes
	Scheme    netprobe.Scheme
	Path      string
	Expect    netprobe.Expect
	WebSocket string // path; empty for none

	// PublishPort publishes Port on all addresses, at a host port that the engine
	// chooses; else Exposed and Bindings say what is published.
	PublishPort bool
	Exposed     nat.PortSet
	Bindings    nat.PortMap

	Networks  []Network                 // in docker's order; empty for the engine's default
	Temporary []engine.TemporaryNetwork // networks to create and remove again, instead of Networks
	Peer      bool                      // also send probes from another container on the first network

	// Modes are network modes to measure, with one server each, instead of the
	// networks above; none to measure only those networks.
	Modes []ModeSpec

	Servers int
	Wait    time.Duration // how long a server may take to answer
	WaitOut bool          // wait that long even for a built-in server that listens
	Timeout time.Duration // of one attempt at one candidate
	Keep    bool          // leave the servers running
	Lasting bool          // no deadline: the servers run until their lease ends
}

// Connection is how the servers of one network mode are connected. Its fields are those of
// Spec with the same names.
type Connection struct {
	Networks  []Network
	Temporary []engine.TemporaryNetwork
	Peer      bool
}

// Network is one network to connect the servers to.
type Network struct {
	Name     string // or "host", "none"
	Endpoint *network.EndpointSettings
}

// Builtin says whether the built-in server is started.
func (s Spec) Builtin() bool { return s.Image == "" }

// perServer is added to the lifetime for each server. 50 in parallel took 226 ms each on
// Engine 20.10 with two cores; the rest is for slow disks.
const perServer = time.Second

// pullAllowance is added for a helper that waits for a pull: an image of a gigabyte at
// 2 MB/s takes that long. All helpers except a nested engine have a lease, and end with
// it before their deadline.
const pullAllowance = 10 * time.Minute

// PullAllowance returns how long a helper may have to wait for the pull of the user's
// image; 0 if nothing is pulled.
func (s Spec) PullAllowance() time.Duration {
	if s.Builtin() || s.Pull == engine.PullNever {
		return 0
	}
	return pullAllowance
}

// Labels returns the labels of a run that starts now. The lifetime follows from the Spec;
// more is added to it.
func (s Spec) Labels(id string, now time.Time, more ...time.Duration) engine.Labels {
	lifetime := s.Wait*time.Duration(1+len(s.Modes)) + engine.DeadlineMargin + time.Duration(s.Servers)*perServer
	for _, d := range more {
		lifetime += d
	}
	return engine.NewLabels(id, now, lifetime, s.Keep || s.Lasting)
}
