//go:build !linux

package keep

import (
	"context"
	"errors"
)

// Role does nothing here: engines are started on Linux only.
func Role() {}

// Supported says whether engines can be started on this system.
func Supported() error { return &MissingError{Needs: "Linux", Fix: "run the tests there"} }

type starter struct{}

func (*starter) ensure() error { return Supported() }

// Install installs nothing, since no engine can be started here.
func Install(context.Context) error {
	if AllRequired() {
		return Supported()
	}
	return nil
}

// All is empty here: no engine can be started.
func All() []About { return nil }

// LookPath finds nothing here.
func LookPath(program string) (string, error) {
	return "", errors.New("there is no " + program + " for an engine here: engines need Linux")
}
