//go:build unix

package client

import (
	"os"
	"syscall"
)

// groupWithAccess returns the group of a socket that may read and write it.
func groupWithAccess(path string) (gid int, ok bool) {
	const readWrite = 0o060
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&readWrite != readWrite {
		return 0, false
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(owner.Gid), true
}
