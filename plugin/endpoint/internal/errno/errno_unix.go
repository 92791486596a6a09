//go:build !windows

// Package errno names the errors of a system call on a Unix socket or a file.
package errno

import (
	"errors"
	"io/fs"
	"syscall"
)

// Forbidden covers EACCES and EPERM.
func Forbidden(err error) bool { return errors.Is(err, fs.ErrPermission) }

// Busy says whether the accept queue of a unix socket is full.
func Busy(err error) bool { return errors.Is(err, syscall.EAGAIN) }
