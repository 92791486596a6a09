//go:build !linux

package keep

import (
	"context"
	"errors"
)

// Role does nothing here: engines are started on Linux only.
func Role() {}

type starter struct{}

func (*starter) ensure() error {
	return errors.New("tests with engines need Linux: run them there")
}

// Install says that nothing can be installed here.
func Install(context.Context) error {
	return errors.New("tests with engines need Linux: run them there")
}

// All is empty here: no engine can be started.
func All() []About { return nil }

// LookPath finds nothing here.
func LookPath(program string) (string, error) {
	return "", errors.New("there is no " + program + " for an engine here: engines need Linux")
}
