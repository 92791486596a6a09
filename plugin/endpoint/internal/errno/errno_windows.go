package errno

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/windows"
)

// Winsock's error numbers differ from those that the names of package syscall
// stand for on Windows.

func Forbidden(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, windows.WSAEACCES)
}

func Busy(err error) bool { return errors.Is(err, windows.WSAEWOULDBLOCK) }
