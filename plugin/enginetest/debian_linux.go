package enginetest

import (
	"testing"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/internal/keep"
)

// DebianFiles is the path of a folder with the files of Debian packages and of all that
// they depend on, for the file system of a container: a Debian in which nothing is
// configured. The name selects the folder in the cache of packages; other packages need
// another name. The machine's apt must have a Debian mirror.
func DebianFiles(tb testing.TB, name, suite string, packages ...string) string {
	tb.Helper()
	skipIfShort(tb)
	root, err := keep.Debian(tb.Context(), name, suite, packages...)
	if err != nil {
		tb.Fatal(err)
	}
	return root
}
