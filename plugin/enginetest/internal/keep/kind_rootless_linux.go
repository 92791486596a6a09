package keep

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// rootlessRecipe is Docker 20.10 in rootless mode, beside its clients: they are
// in the network namespace in which RootlessKit listens for published ports, and
// the engine is in another one, behind slirp4netns. The ordinary user that owns it
// exists only in the engine's namespaces.
func rootlessRecipe() recipe {
	return recipe{
		kind:     Rootless,
		version:  "20.10.",
		reach:    reachRootless("10.231.6.53"),
		slot:     6,
		programs: []string{"apt-get", "dpkg", "nsenter", "setpriv"},
		bundles: []bundle{
			{
				name:     "rootless-20.10",
				suite:    "bookworm",
				packages: []string{"docker.io", "containerd", "runc", "libdevmapper1.02.1", "rootlesskit"},
				version:  "20.10.",
			},
			rootlessBundle(),
		},
		start: startRootless,
	}
}

// reachRootless is for an engine in another namespace: published ports are on the
// machine's addresses, and not on the gateways of the engine's networks. The address
// is one of the machine's that is no loopback address.
func reachRootless(address string) Reach {
	reach := reachForwarded()
	reach.Containers = map[string]string{"GATEWAY:PORT": refused, address + ":PORT": answer}
	return reach
}

// rootlessBundle is what every rootless engine needs of a machine: user ids for
// containers, and a route to the outside for their packets. It is of an older Debian
// release, since later ones may need a newer C library than the machine's.
func rootlessBundle() bundle {
	return bundle{
		name:     "rootless-tools",
		suite:    "bookworm",
		packages: []string{"slirp4netns", "libslirp0", "uidmap", "libsubid4"},
		version:  "1.2.",
	}
}

const (
	// rootlessUID is above the user ids that distributions give to users.
	rootlessUID = 231000
	// rootlessFirst is the first of the user ids for containers.
	rootlessFirst = 231_000_000
	rootlessCount = 65536
)

// tunDevice makes tun devices available to every user in the mount namespace.
const tunDevice = `
mount -t tmpfs -o mode=755 tmpfs /dev/net
mknod -m 666 /dev/net/tun c 10 200
`

// rootlessPlace shows the engine's processes a machine with one more user. This user
// can use tun devices and read the engine's folder, but no other engine's.
const rootlessPlace = `
mount --bind passwd /etc/passwd
mount --bind group /etc/group
mount --bind subids /etc/subuid
mount --bind subids /etc/subgid
` + tunDevice + `
mkdir /run/engine
mount --bind . /run/engine
mount -t tmpfs -o mode=755 tmpfs ..
mkdir %[1]s
mount --bind /run/engine %[1]s
`

func startRootless(ctx context.Context, r *running) error {
	if err := r.enclose(ctx); err != nil {
		return err
	}
	asUser, err := r.makeUser(ctx)
	if err != nil {
		return err
	}
	if err := os.WriteFile(r.path("user/daemon.json"), []byte("{}"), 0o644); err != nil { //nolint:gosec // for a user to read
		return err
	}
	r.Socket = r.path("user/docker.sock")
	r.Host = "unix://" + r.Socket
	r.Netns = r.box.netns()
	r.registryAddr = r.plan.resolver()
	r.network = r.rootlessKitNetns
	r.daemon = process{
		name: "dockerd",
		log:  r.path("dockerd.log"),
		env: []string{
			"PATH=" + r.searchPath(),
			"HOME=" + r.path("user"),
			"XDG_RUNTIME_DIR=" + r.path("user"),
			"TMPDIR=" + r.path("user"),
			"DOCKERD_ROOTLESS_ROOTLESSKIT_FLAGS=--state-dir=" + r.path("user/rootlesskit"),
		},
		argv: append(asUser,
			"/usr/share/docker.io/contrib/dockerd-rootless.sh",
			"--config-file", r.path("user/daemon.json"),
			"--data-root", r.path("user/data"),
			"--bip", r.plan.bridge().String(),
			"--default-address-pool", fmt.Sprintf("base=%s,size=%d", r.plan.pool(), poolSize),
			"--dns", r.plan.resolver().String(),
			"--insecure-registry", r.registryAddr.String()+"/32",
		),
	}
	return r.startDaemon(ctx)
}

// rootlessKitNetns is the daemon's network namespace. RootlessKit writes down the id
// of a process in it.
func (r *running) rootlessKitNetns(context.Context) (string, error) {
	pid, err := os.ReadFile(r.path("user/rootlesskit/child_pid"))
	if err != nil {
		return "", err
	}
	return r.box.netnsOf(strings.TrimSpace(string(pid))), nil
}

// makeUser adds the user, with the folder "user" in the engine's folder, and returns
// the beginning of a command that runs as that user.
func (r *running) makeUser(ctx context.Context) ([]string, error) {
	if err := r.writeUser(); err != nil {
		return nil, fmt.Errorf("making a user for the engine: %w", err)
	}
	if err := r.script(ctx, fmt.Sprintf(rootlessPlace, r.Dir)); err != nil {
		return nil, err
	}
	setpriv, err := r.program("setpriv")
	if err != nil {
		return nil, err
	}
	uid := strconv.Itoa(rootlessUID)
	return []string{setpriv, "--reuid", uid, "--regid", uid, "--clear-groups"}, nil
}

func (r *running) writeUser() error {
	user := r.path("user")
	if err := os.Mkdir(user, 0o700); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"passwd": fmt.Sprintf("root:x:0:0:root:/root:/bin/sh\nnestprobe:x:%[1]d:%[1]d::%[2]s:/bin/sh\n", rootlessUID, user),
		"group":  fmt.Sprintf("root:x:0:\nnestprobe:x:%d:\n", rootlessUID),
		"subids": fmt.Sprintf("nestprobe:%d:%d\n", rootlessFirst, rootlessCount),
	} {
		if err := os.WriteFile(r.path(name), []byte(text), 0o644); err != nil { //nolint:gosec // for a user to read
			return err
		}
	}
	// The keeper's folder, which is closed to other users, does not block this one:
	// rootlessPlace has hidden it.
	if err := os.Chmod(r.Dir, 0o711); err != nil { //nolint:gosec // see above
		return err
	}
	return os.Chown(user, rootlessUID, rootlessUID)
}
