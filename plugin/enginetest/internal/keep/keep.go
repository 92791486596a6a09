// Package keep is the keeper behind enginetest: one process that starts test
// engines, hands out where they are, and takes everything down when the last
// connection to it is closed. Because the kernel closes connections, a
// test binary that panics, times out or is killed gives its engines back too.
//
// Its callers are only package enginetest (the test's side) and the keeper command. It
// knows of engines, namespaces and packages; it must not know of the plugin that is
// tested.
//
// Every engine runs in its own namespaces for processes, mounts and, except for
// the machine's engine, the network. The first process in them ends when
// the keeper does, and the kernel then ends all that is left inside: daemons,
// containers, mounts and links cannot outlive it.
package keep

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
)

// Kind names a sort of engine, such as "toolbox".
type Kind string

// The kinds of engines that tests name. How each is started is in the file of its
// name.
const (
	Linux      Kind = "linux"       // the machine's own engine at the default endpoint
	Desktop    Kind = "desktop"     // like Docker Desktop: forwarded ports, host.docker.internal
	Toolbox    Kind = "toolbox"     // the machine's dockerd on another address, TCP with TLS
	Engine26_1 Kind = "engine-26.1" // Debian trixie's, reached by its socket
	Engine28_5 Kind = "engine-28.5" // Debian sid's, reached by its socket
	SSH        Kind = "ssh"         // on another address, reached by ssh
	Rootless   Kind = "rootless"    // an ordinary user's, reached by its socket
	Dind       Kind = "dind"        // in a container of another, reached over TCP
	Podman     Kind = "podman"      // Debian bookworm's, reached by its socket

	Engine29         Kind = "engine-29"          // built from its module, reached by its socket
	Engine29Nftables Kind = "engine-29-nftables" // with rules of nftables
	Engine29Toolbox  Kind = "engine-29-toolbox"  // on another address, TCP with TLS
	Engine29Rootless Kind = "engine-29-rootless" // an ordinary user's
	Podman5          Kind = "podman-5"           // Debian sid's
	Podman5Rootless  Kind = "podman-5-rootless"  // an ordinary user's
	Podman6          Kind = "podman-6"           // Debian experimental's

	PodmanRootless Kind = "podman-rootless" // an ordinary user's
	DesktopGvproxy Kind = "desktop-gvproxy" // a Desktop with the forwarder of Podman's machines
	Swarm          Kind = "swarm"           // Debian trixie's, a node of several
)

// Label is on everything that tests make on the machine's own engine, so that
// the keeper finds it at the end of a run. Containers inherit it from the test
// image.
const Label = "io.nestprobe.test"

// Engine says where a started engine is and how to reach it.
type Engine struct {
	ID      string // unique among the keeper's engines
	Kind    Kind
	Version string // the engine's own, such as "26.1.5+dfsg1"
	Host    string // value for DOCKER_HOST; empty for the default endpoint
	Socket  string // path of its socket as seen from here; empty if there is none
	API     string // socket for tests where they cannot use the clients' endpoint; else empty
	CertDir string // folder of ca.pem, cert.pem and key.pem; empty without TLS
	Bin     string // folder with programs that clients need, to be first in PATH; empty for none
	Netns   string // network namespace of its clients; empty for the machine's own
	Address string // address of a remote engine; empty for one beside its clients
	Dir     string // private folder of the engine, with its logs
}

// Op is the operation that a Request names.
type Op string

// The operations of the keeper. Hold does nothing: the connection itself keeps the
// keeper and its shared engines alive.
const (
	OpHold     Op = "hold"
	OpShared   Op = "shared"   // the one engine of a kind, started with the first request
	OpPrivate  Op = "private"  // an engine that lives as long as the connection
	OpStop     Op = "stop"     // stop the daemon of this connection's private engine
	OpStart    Op = "start"    // start it again
	OpRegistry Op = "registry" // a registry that the engine reaches on its loopback
	OpParent   Op = "parent"   // an interface in the engine's network for macvlan networks
	OpSwarm    Op = "swarm"    // engines that are nodes of one Swarm, as private ones
	OpMissing  Op = "missing"  // the kinds that could not be started so far
)

// Request is one line of JSON from a client.
type Request struct {
	Op     Op
	Kind   Kind     // for OpShared and OpPrivate
	Image  Image    // for both of them, if the kind is Dind
	Nodes  int      // for OpSwarm
	Args   []string // more of dockerd, for OpPrivate
	Engine string   // ID, for the others
}

// Image is an image in a docker-archive.
type Image struct {
	Path string
	Tag  string
}

// Reply is one line of JSON from the keeper. It also sends an empty one when
// it accepts a connection: without it, a client knows that the keeper is about to
// end.
type Reply struct {
	Error    string
	Missing  *MissingError // what the machine lacks for the request; Error is set too
	Kinds    Missing       // of OpMissing
	Engine   *Engine
	Engines  []*Engine // of OpSwarm, the manager first
	Registry string    // host:port as the engine sees it
	Parent   *Parent
}

// Parent is an interface of an engine's machine that macvlan networks can be made
// on, and the network that it leads to.
type Parent struct {
	Interface string
	Subnet    netip.Prefix // of the network, for its containers too
	Address   netip.Addr   // the machine's own there
	Peer      netip.Addr   // the only other machine's, the first of the subnet
	PeerNetns string       // path of that machine's network namespace
}

// NameVariable gives a keeper another name than the user's usual one. Both would
// use the same addresses, so it needs another network namespace. It is for tests of
// how the keeper ends.
const NameVariable = "NESTPROBE_ENGINETEST_NAME"

// name begins the names of everything that a keeper makes.
func name() string {
	return "nestprobe-engines-" + strconv.Itoa(os.Getuid()) + os.Getenv(NameVariable)
}

// Dir is the folder with everything of the user's running keeper: its socket,
// its process id, its log, a folder for each engine. It is fixed, and short
// because the paths of sockets are limited to 107 bytes (unix(7)).
func Dir() string { return filepath.Join("/tmp", name()) }

func pidPath() string { return filepath.Join(Dir(), "keeper.pid") }

func socketPath() string { return filepath.Join(Dir(), "keeper.sock") }

// LogPath is the keeper's own log, for messages about why it does not answer.
func LogPath() string { return filepath.Join(Dir(), "keeper.log") }

// CacheDir is the folder where fetched packages stay between runs:
// $NESTPROBE_TEST_CACHE or a folder in the user's cache.
func CacheDir() (string, error) {
	if dir := os.Getenv("NESTPROBE_TEST_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding a cache folder: %w; set NESTPROBE_TEST_CACHE to one", err)
	}
	return filepath.Join(dir, "nestprobe-test"), nil
}
