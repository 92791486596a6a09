// Package enginetest gives tests real engines. A test names the kind that it needs
// and gets one that runs, the same for all tests of a run:
//
//	func TestMain(m *testing.M) { enginetest.Main(m) }
//
//	func TestRun(t *testing.T) {
//		engine := enginetest.Get(t, enginetest.Toolbox)
//		out, err := engine.Command(t.Context(), "docker", "nestprobe", "run").Output()
//		…
//	}
//
// A keeper, one process for all test binaries, starts the engines. It takes them down
// when the last test binary has ended, even if that was killed. To keep
// them for a whole `go test ./...`, run it under the keeper:
//
//	go run ./plugin/enginetest/keeper -- go test ./...
//
// The package is only for tests. It must not know of the plugin's commands.
package enginetest

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/internal/keep"
)

// Kind names a kind of engine.
type Kind = keep.Kind

// The kinds of engines that tests name; [All] has the others too. "Beside" means
// that clients share the engine's network namespace, as a user's programs do on a
// plain Linux machine.
const (
	Linux      = keep.Linux      // the machine's own engine, at the default endpoint
	Toolbox    = keep.Toolbox    // the machine's dockerd at 10.231.1.2, TCP with TLS
	Desktop    = keep.Desktop    // like Docker Desktop, at a socket, with ports published on the machine's localhost
	Engine26_1 = keep.Engine26_1 // Docker 26.1, beside
	Engine28_5 = keep.Engine28_5 // Docker 28.5, beside
	SSH        = keep.SSH        // Docker 26.1 at 10.231.7.2, reached by ssh
	Rootless   = keep.Rootless   // Docker 20.10 of an ordinary user, beside
	Dind       = keep.Dind       // the machine's dockerd in a container, plain TCP, beside that
	Podman     = keep.Podman     // Podman 4.3, beside

	PodmanRootless = keep.PodmanRootless // Podman 4.3 of an ordinary user, beside
	DesktopGvproxy = keep.DesktopGvproxy // a Desktop whose network is gvproxy's, as of Podman's machines
	Swarm          = keep.Swarm          // Docker 26.1, beside, a node of a Swarm; see [StartSwarm]
)

// Label is on every image that this package makes, and so on its containers.
// At the end of a run whatever carries it is removed from the machine's own
// engine; tests that make other things there remove them themselves.
const Label = keep.Label

// Kinds lists the kinds for tests that hold for all of them.
func Kinds() []Kind {
	return []Kind{Linux, Toolbox, Desktop, Engine26_1, Engine28_5, SSH, Rootless, Podman}
}

// All lists every kind that there is, in the order of their recipes.
func All() []Kind {
	all := keep.All()
	kinds := make([]Kind, len(all))
	for i, about := range all {
		kinds[i] = about.Kind
	}
	return kinds
}

// About describes, of every kind, what its recipe promises.
func About() []keep.About { return keep.All() }

// Main runs the tests of a package that uses engines. TestMain calls it before
// anything else; it does not return. It keeps the keeper alive from the
// first test to the last, so that every kind starts once.
func Main(m *testing.M) {
	keep.Role()
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if testing.Short() {
		return m.Run()
	}
	if keep.Supported() != nil && !keep.AllRequired() {
		return m.Run() // each test with an engine is skipped
	}
	conn, err := keep.Connect(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer conn.Close() //nolint:errcheck // the process ends
	return m.Run()
}
