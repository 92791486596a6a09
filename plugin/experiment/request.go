package experiment

import (
	"time"

	"github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
)

// Request is what the user asks for: which servers to start, and which answer is right.
// Nothing changes it. What it leaves open is in the Plan of a run.
type Request struct {
	Image      string   // the user's image; empty for the built-in server
	Command    []string // its command and arguments
	Entrypoint []string // instead of the image's; nil for that, and one empty text for none
	Env        []string // see Options.ServerEnv
	User       string
	Hostname   string
	Binds      []string            // as in the API: SOURCE:TARGET[:OPTIONS]
	Volumes    map[string]struct{} // the paths of anonymous volumes
	AddHosts   []string
	Platform   *ocispec.Platform // nil for the engine's own
	Pull       engine.PullPolicy

	Port   uint16          // in the container; 0 for the one that is published or that the image exposes
	Target netprobe.Target // what is probed at each address; without Address and Identity, see TargetAt

	// PublishPort publishes Port on all addresses, at a host port that the engine
	// chooses; else Exposed and Bindings say what is published.
	PublishPort bool
	PublishAll  bool // also publish every port that the image exposes
	Exposed     nat.PortSet
	Bindings    nat.PortMap

	Connection Connection
	// Modes are network modes to measure, with one server each, instead of Connection;
	// none to measure only that.
	Modes []ModeRequest

	Servers int
	Wait    time.Duration // how long a server may take to answer
	WaitOut bool          // wait that long even for a built-in server that listens
	Timeout time.Duration // of one attempt at one candidate
	Roots   []byte        // PEM certificates of the authorities that containers trust in probes; empty for none
	Keep    bool          // leave the servers running, or the relay
}

// Connection is how servers are connected.
type Connection struct {
	Networks  []Network                 // in docker's order; empty for the engine's default
	Temporary []engine.TemporaryNetwork // networks to create and remove again, instead of Networks
	Peer      bool                      // also send probes from another container on the first network
}

// Network is one network to connect the servers to.
type Network struct {
	Name     string // or "host", "none"
	Endpoint *network.EndpointSettings
}

// Builtin says whether the built-in server is started.
func (r Request) Builtin() bool { return r.Image == "" }

// perServer is added to the lifetime for each server. 50 in parallel took 226 ms each on
// Engine 20.10 with two cores; the rest is for slow disks.
const perServer = time.Second

// pullAllowance is added for a helper that waits for a pull: an image of a gigabyte at
// 2 MB/s takes that long. All helpers except a nested engine have a lease, and end with
// it before their deadline.
const pullAllowance = 10 * time.Minute

// PullAllowance returns how long a helper may have to wait for the pull of the user's
// image; 0 if nothing is pulled.
func (r Request) PullAllowance() time.Duration {
	if r.Builtin() || r.Pull == engine.PullNever {
		return 0
	}
	return pullAllowance
}

// Labels returns the labels of a run that starts now. The lifetime follows from the
// Request; more is added to it.
func (r Request) Labels(id string, now time.Time, more ...time.Duration) engine.Labels {
	lifetime := r.Wait*time.Duration(1+len(r.Modes)) + engine.DeadlineMargin + time.Duration(r.Servers)*perServer
	for _, d := range more {
		lifetime += d
	}
	return engine.NewLabels(id, now, lifetime, r.Keep)
}

// Terms returns the settings of a race for a server, without attempts. The certificate of
// the built-in server is self-signed, so its identity proves who answers.
func (r Request) Terms() netprobe.Race {
	return netprobe.Race{Timeout: r.Timeout, SkipVerify: r.Builtin()}
}

// TargetAt returns what is probed at an address. Only the built-in server has an identity.
func (r Request) TargetAt(address, identity string) netprobe.Target {
	target := r.Target
	target.Address = address
	if r.Builtin() {
		target.Identity = identity
	}
	return target
}
