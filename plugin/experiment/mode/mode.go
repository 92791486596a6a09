// Package mode has the network modes that --networks measures: the ways in which a
// server can be connected. The commands turn a list of names into what an
// experiment is to do. It must not know how that is done.
//
// A mode is a file and a line in [All].
package mode

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
)

// Mode is one way to connect a server.
type Mode struct {
	Name string
	// About says in a few words what it is.
	About string
	// Alone is what it takes for itself, see experiment.ModeSpec.
	Alone string
	// Connect says how the server is connected.
	Connect func(settings Settings) experiment.Connection
}

// Settings are what a user says about the modes that need a network outside of the
// engine's own.
type Settings struct {
	Parent  string // interface on the engine's host
	Subnet  string // CIDR
	Gateway string
}

// All lists the modes, those that people meet first in front.
func All() []Mode {
	return []Mode{
		bridge(),
		userBridge(),
		several(),
		internal(),
		host(),
		none(),
		noICC(),
		mtu(),
		dualStack(),
		ipv6Only(),
		macvlan(),
		ipvlanL2(),
		ipvlanL3(),
		overlay(),
	}
}

// every is the name of the list of all modes.
const every = "all"

// Names lists the names that --networks takes.
func Names() []string {
	modes := All()
	names := make([]string, 0, 1+len(modes))
	names = append(names, every)
	for _, m := range modes {
		names = append(names, m.Name)
	}
	return names
}

// Choose returns the modes that a list names, in the order of All.
func Choose(names []string) ([]Mode, error) {
	for _, name := range names {
		if !slices.Contains(Names(), name) {
			return nil, fmt.Errorf("unknown network mode %q: must be one of %s", name, strings.Join(Names(), ", "))
		}
	}
	return slices.DeleteFunc(All(), func(m Mode) bool {
		return !slices.Contains(names, m.Name) && !slices.Contains(names, every)
	}), nil
}

// Specs are what an experiment is to do for modes.
func Specs(modes []Mode, settings Settings) []experiment.ModeSpec {
	specs := make([]experiment.ModeSpec, len(modes))
	for i, m := range modes {
		specs[i] = experiment.ModeSpec{Name: m.Name, Alone: m.Alone, Connection: m.Connect(settings)}
	}
	return specs
}

// temporary connects the server to networks that are made for it. A peer on the
// first of them is asked from too.
func temporary(networks ...experiment.TemporaryNetwork) func(Settings) experiment.Connection {
	return func(Settings) experiment.Connection {
		return experiment.Connection{Temporary: networks, Peer: true}
	}
}

// named connects the server to a network that every engine has.
func named(network string) func(Settings) experiment.Connection {
	return func(Settings) experiment.Connection {
		return experiment.Connection{Networks: []experiment.Network{{Name: network}}}
	}
}

// onParent connects the server to the network of an interface of the engine's host.
func onParent(driver string, options map[string]string) func(Settings) experiment.Connection {
	return func(settings Settings) experiment.Connection {
		return experiment.Connection{Peer: true, Temporary: []experiment.TemporaryNetwork{{
			Driver:  driver,
			Parent:  settings.Parent,
			Subnet:  settings.Subnet,
			Gateway: settings.Gateway,
			Options: options,
		}}}
	}
}

// Parent is what modes take that put a driver on an interface of the engine's host:
// the kernel lets one driver have it.
const Parent = "parent"
