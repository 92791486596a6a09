//go:build !windows

package connection

import (
	"errors"
	"io/fs"
	"syscall"
)

// isForbidden covers EACCES and EPERM.
func isForbidden(err error) bool { return errors.Is(err, fs.ErrPermission) }

// isBusy says whether the accept queue of a unix socket is full.
func isBusy(err error) bool { return errors.Is(err, syscall.EAGAIN) }
