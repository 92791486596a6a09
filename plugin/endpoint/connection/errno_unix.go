//go:build !windows

package connection

import (
	"errors"
	"io/fs"
	"syscall"
)

func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ECONNABORTED)
}

func isUnreachable(err error) bool {
	// EINVAL is what a blackhole route answers (FIELD-NOTES, section 2).
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.EINVAL)
}

// isForbidden covers EACCES and EPERM.
func isForbidden(err error) bool { return errors.Is(err, fs.ErrPermission) }

// isBusy says whether a unix socket's queue of connections is full.
func isBusy(err error) bool { return errors.Is(err, syscall.EAGAIN) }
