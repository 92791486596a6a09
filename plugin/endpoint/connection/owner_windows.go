package connection

import (
	"os/user"
)

// describeFile names a file; modes and owners mean nothing for a socket here.
func describeFile(path string) string { return "file: " + path }

// identity gives the user of this process.
func identity() string {
	me, err := user.Current()
	if err != nil {
		return "process: its user is unknown"
	}
	return "process: user " + me.Username
}

// socketWayIn knows of no group that opens unix sockets on Windows.
func socketWayIn(string) wayIn { return wayIn{} }
