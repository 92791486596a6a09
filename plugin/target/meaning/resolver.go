// Package meaning finds out what a TARGET means: which container, or which port of the engine's
// host. A name may mean another container to a client than to this machine.
package meaning

import (
	"net/netip"
	"time"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
)

// Query is what the user has typed.
type Query struct {
	Container string        // name, id, or the name of a service
	Address   string        // instead of a container; see IsAddress
	Port      uint16        // 0 for none
	From      []string      // places
	Timeout   time.Duration // of a connection that shows whether something listens at an address
}

// Meaning is what the user means.
type Meaning struct {
	Text           string              // what the words were taken for; empty if they are plain
	ByClient       bool                // the one place that the user named knows the container by the name that was typed
	OwnLocalhost   bool                // as facts.Server has it
	MeantInstead   []facts.OtherServer // as facts.Server has it
	UnknownAddress netip.Addr          // as facts.Server has it
}

// Resolver finds the container, or the port of the engine's host, that a Query means. ResolveAddress
// changes Container and Port of the Query.
type Resolver struct {
	Engine engine.Engine
	Reader engine.Reader // of the engine
	Query
	Meaning

	typedPort uint16
}

// NewResolver returns the resolver of a query.
func NewResolver(eng engine.Engine, reader engine.Reader, query Query) *Resolver {
	return &Resolver{Engine: eng, Reader: reader, Query: query, typedPort: query.Port}
}
