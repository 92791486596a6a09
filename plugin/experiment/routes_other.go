//go:build !linux

package experiment

import "github.com/nestprobe/docker-nestprobe/plugin/diagnosis"

// routes are read on Linux alone: elsewhere engines run in a VM, and this machine
// has no routes to their containers.
func routes([]NetworkFacts) []diagnosis.Route { return nil }
