package keep

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
)

// podmanRecipe is Podman 4.3 with its service that speaks Docker's API, beside
// its clients.
func podmanRecipe() recipe {
	return recipe{
		kind:    Podman,
		version: podmanVersion,
		reach: Reach{
			Clients:    map[string]string{"127.0.0.1:PORT": answer, "[::1]:PORT": refused, "GATEWAY:PORT": answer, "IP:8080": answer},
			Containers: map[string]string{"GATEWAY:PORT": answer},
		},
		slot:     5,
		programs: []string{"apt-get", "dpkg", "nsenter", "runc", "iptables"},
		bundles:  []bundle{podmanBundle()},
		start:    startPodman,
	}
}

const podmanVersion = "4.3."

func podmanBundle() bundle {
	return bundle{
		name:  string(Podman),
		suite: "bookworm",
		packages: []string{
			"podman", "conmon", "netavark", "aardvark-dns",
			"golang-github-containers-common", "golang-github-containers-image",
			"libgpgme11", "libassuan0", "libsubid4",
		},
		version: podmanVersion,
	}
}

func startPodman(ctx context.Context, r *running) error {
	r.onStop(func(context.Context) error { return removePodmanCgroups(r.Dir) })
	if err := r.enclose(ctx); err != nil {
		return err
	}
	return r.startPodmanBeside(ctx, "runc")
}

// startPodmanBeside starts a Podman that runs containers with the runtime.
func (r *running) startPodmanBeside(ctx context.Context, runtime string) error {
	place := podmanPlace{dir: r.Dir, run: r.Dir}
	if err := r.hidePackages(ctx); err != nil {
		return err
	}
	env, err := r.configurePodman(place, runtime)
	if err != nil {
		return err
	}
	r.podmanService(place, env)
	return r.startDaemon(ctx)
}

// hidePackages hides the machine's packages from the engine. For every /version and
// /info Podman looks up the packages of itself and its runtime, for which dpkg reads
// the list of files of every package: 0.3 s of a processor, which was a tenth of what
// all tests take.
func (r *running) hidePackages(ctx context.Context) error {
	return r.script(ctx, "mount -t tmpfs tmpfs /var/lib/dpkg/info")
}

// podmanPlace has the folders of a Podman: for files that stay, and for those that
// may go with its machine.
type podmanPlace struct {
	dir string
	run string // Podman allows 50 bytes for the folder in it
}

func (p podmanPlace) path(name string) string { return filepath.Join(p.dir, name) }

// podmanService makes the engine's daemon a Podman that speaks Docker's API, run
// by a command that is put before its own, if any.
func (r *running) podmanService(place podmanPlace, env []string, before ...string) {
	r.Socket = place.path("docker.sock")
	r.Host = "unix://" + r.Socket
	r.Netns = r.box.netns()
	r.daemon = process{
		name: "podman",
		log:  r.path("podman.log"),
		env:  env,
		argv: append(before,
			"/usr/bin/podman",
			"--root", place.path("data"),
			"--runroot", filepath.Join(place.run, "run"),
			"--tmpdir", filepath.Join(place.run, "tmp"),
			"--cgroup-manager", "cgroupfs",
			"--conmon", "/usr/bin/conmon",
			"--network-config-dir", place.path("networks"),
			"system", "service", "--time", "0", r.Host,
		),
	}
}

// containersConf replaces all of the machine's containers.conf. The limits are
// ones that a container may have where the machine's are lower than Podman's
// defaults, and no limit that needs a cgroup controller which the machine may not have.
const containersConf = `[containers]
default_ulimits = ["nofile=20000:20000", "nproc=16384:16384"]
dns_servers = [%[1]q]
pids_limit = 0
[engine]
runtime = %[6]q
events_logger = "file"
helper_binaries_dir = ["/usr/lib/podman", "/usr/libexec/podman", "/usr/bin"]
[engine.runtimes]
%[6]s = [%[2]q]
[network]
network_backend = "netavark"
default_subnet = %[3]q
default_subnet_pools = [{base = %[4]q, size = %[5]d}]
`

// storageConf is for programs that read it before they read their arguments.
const storageConf = `[storage]
driver = "overlay"
graphroot = %q
runroot = %q
`

// registriesConf has no registry to search in, and allows plain HTTP to the
// one that the keeper starts for an engine.
const registriesConf = `unqualified-search-registries = []
[[registry]]
location = %q
insecure = true
`

const policyJSON = `{"default": [{"type": "insecureAcceptAnything"}]}`

// configurePodman writes the configuration of a Podman and returns the
// environment that leads to it.
func (r *running) configurePodman(place podmanPlace, runtime string) (env []string, err error) {
	// A bundle's, if one has it: a runtime that needs a newer C library is in a bundle with it.
	runtimePath, err := r.program(runtime)
	if err != nil {
		return nil, err
	}
	home := place.path("home")
	policyDir := filepath.Join(home, ".config/containers")
	if err := os.MkdirAll(policyDir, 0o755); err != nil { //nolint:gosec // for a user to read
		return nil, err
	}
	subnet, pool := r.plan.bridge().Masked(), r.plan.pool()
	registry := netip.AddrPortFrom(loopback, registryPort).String()
	for path, text := range map[string]string{
		r.path("containers.conf"):               fmt.Sprintf(containersConf, r.plan.resolver(), runtimePath, subnet, pool, poolSize, runtime),
		r.path("storage.conf"):                  fmt.Sprintf(storageConf, place.path("data"), filepath.Join(place.run, "run")),
		r.path("registries.conf"):               fmt.Sprintf(registriesConf, registry),
		filepath.Join(policyDir, "policy.json"): policyJSON,
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil { //nolint:gosec // for a user to read
			return nil, err
		}
	}
	return []string{
		"PATH=" + r.searchPath(),
		"HOME=" + home,
		"CONTAINERS_CONF=" + r.path("containers.conf"),
		"CONTAINERS_STORAGE_CONF=" + r.path("storage.conf"),
		"CONTAINERS_REGISTRIES_CONF=" + r.path("registries.conf"),
	}, nil
}
