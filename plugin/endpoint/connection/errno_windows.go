package connection

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/windows"
)

// The portable names of package syscall do not match what Winsock returns
// (FIELD-NOTES, section 2).

func isRefused(err error) bool { return errors.Is(err, windows.WSAECONNREFUSED) }

func isReset(err error) bool {
	return errors.Is(err, windows.WSAECONNRESET) || errors.Is(err, windows.WSAECONNABORTED)
}

func isUnreachable(err error) bool {
	return errors.Is(err, windows.WSAENETUNREACH) || errors.Is(err, windows.WSAEHOSTUNREACH)
}

func isForbidden(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, windows.WSAEACCES)
}

func isBusy(err error) bool { return errors.Is(err, windows.WSAEWOULDBLOCK) }
