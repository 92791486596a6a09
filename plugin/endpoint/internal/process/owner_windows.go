package process

import (
	"os/user"
)

// DescribeFile names a file; modes and owners mean nothing for a socket here.
func DescribeFile(path string) string { return "file: " + path }

// Identity gives the user of this process.
func Identity() string {
	me, err := user.Current()
	if err != nil {
		return "process: its user is unknown"
	}
	return "process: user " + me.Username
}

// FixAccess is empty: on Windows no group gives the right to open unix sockets.
func FixAccess(string) AccessFix { return AccessFix{} }
