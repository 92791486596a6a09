package facts

import (
	"strconv"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Engine is what matters of the engine that runs the server.
type Engine struct {
	Host     string // host of a tcp or ssh endpoint; empty for a local one, and for a loopback address
	Loopback bool   // the endpoint is a port of this machine's loopback, which may be one end of a tunnel
	Podman   bool   // Podman, which serves Docker's API
	Major    int    // major version of Docker Engine; 0 for other products
	Rootless bool
	Desktop  bool
}

// NewEngine reads what an engine says of itself. The host and loopback are those of
// its endpoint, as Engine has them.
func NewEngine(host string, loopback bool, engine report.Engine) Engine {
	facts := Engine{
		Host:     host,
		Loopback: loopback,
		Podman:   strings.HasPrefix(engine.Product, "Podman"),
		Rootless: engine.Rootless,
		Desktop:  engine.Desktop,
	}
	if !facts.Podman {
		major, _, _ := strings.Cut(engine.Version, ".")
		facts.Major, _ = strconv.Atoi(major)
	}
	return facts
}

// NetworksElsewhere says whether the engine's networks are not those of the machine
// that uses its endpoint.
func (e Engine) NetworksElsewhere() bool { return e.Host != "" || e.Rootless || e.Desktop }

// Place says where the networks of an engine are for which NetworksElsewhere holds, as
// a part of a sentence.
func (e Engine) Place() string {
	switch {
	case e.Desktop:
		return "in the VM of Docker Desktop"
	case e.Rootless:
		return "in the network namespace of a rootless engine"
	default:
		return "on the engine's host " + e.Host
	}
}
