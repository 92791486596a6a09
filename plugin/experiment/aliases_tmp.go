package experiment

import "github.com/nestprobe/docker-nestprobe/plugin/diagnosis"

// NetworkFacts are a container's addresses on one network, and the network's
// settings where they have been looked up.
type NetworkFacts = diagnosis.Network

// Binding is one published port on the engine's host.
type Binding = diagnosis.Binding
