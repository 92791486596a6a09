package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/internal/keep"
)

// claim makes sure that no other run is going on with the same engines: the two
// would remove each other's containers. The claim ends when the returned
// file is closed, which the kernel does at the latest when the process ends.
func claim(path string) (*os.File, error) {
	if os.Getenv(claimedVariable) != "" {
		return nil, nil //nolint:nilnil // a nil File can be closed
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600) //nolint:gosec // beside the keeper's folder
	if err != nil {
		return nil, fmt.Errorf("claiming the engines: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = fmt.Errorf("another test run has the engines, and two would remove each other's containers: wait for it to end, or give this one another network namespace and name (unshare --net, and %s)", keep.NameVariable)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// claimPath is the lock file of the user's engines: not in the keeper's folder, which
// the keeper makes and removes.
func claimPath() string { return keep.Dir() + ".run" }
