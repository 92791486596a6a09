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
		kind:     Podman,
		slot:     5,
		programs: []string{"apt-get", "dpkg", "nsenter", "runc", "iptables"},
		bundles:  []bundle{podmanBundle()},
		start:    startPodman,
	}
}

func podmanBundle() bundle {
	return bundle{
		name:  string(Podman),
		suite: "bookworm",
		packages: []string{
			"podman", "conmon", "netavark", "aardvark-dns",
			"golang-github-containers-common", "golang-github-containers-image",
			"libgpgme11", "libassuan0", "libsubid4",
		},
		version: "4.3.",
	}
}

func startPodman(ctx context.Context, r *running) error {
	r.onStop(func(context.Context) error { return removePodmanCgroups(r.Dir) })
	if err := r.enclose(ctx); err != nil {
		return err
	}
	env, err := r.configurePodman()
	if err != nil {
		return err
	}
	r.Socket = r.path("docker.sock")
	r.Host = "unix://" + r.Socket
	r.Netns = r.box.netns()
	r.daemon = process{
		name: "podman",
		log:  r.path("podman.log"),
		env:  env,
		argv: []string{
			"/usr/bin/podman",
			"--root", r.path("data"),
			"--runroot", r.path("run"),
			"--tmpdir", r.path("tmp"),
			"--cgroup-manager", "cgroupfs",
			"--conmon", "/usr/bin/conmon",
			"--network-config-dir", r.path("networks"),
			"system", "service", "--time", "0", r.Host,
		},
	}
	return r.startDaemon(ctx)
}

// containersConf replaces all of the machine's containers.conf. The limits are
// ones that a container may have where the machine's are lower than Podman's
// defaults.
const containersConf = `[containers]
default_ulimits = ["nofile=20000:20000", "nproc=16384:16384"]
dns_servers = [%[1]q]
[engine]
runtime = "runc"
events_logger = "file"
helper_binaries_dir = ["/usr/lib/podman"]
[engine.runtimes]
runc = [%[2]q]
[network]
network_backend = "netavark"
default_subnet = %[3]q
default_subnet_pools = [{base = %[4]q, size = %[5]d}]
`

// storageConf is for what reads it before it reads the arguments.
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

func (r *running) configurePodman() (env []string, err error) {
	runc, err := LookPath("runc")
	if err != nil {
		return nil, err
	}
	home := r.path("home")
	policyDir := filepath.Join(home, ".config/containers")
	if err := os.MkdirAll(policyDir, 0o700); err != nil {
		return nil, err
	}
	subnet, pool := r.plan.bridge().Masked(), r.plan.pool()
	registry := netip.AddrPortFrom(loopback, registryPort).String()
	for path, text := range map[string]string{
		r.path("containers.conf"):               fmt.Sprintf(containersConf, r.plan.resolver(), runc, subnet, pool, poolSize),
		r.path("storage.conf"):                  fmt.Sprintf(storageConf, r.path("data"), r.path("run")),
		r.path("registries.conf"):               fmt.Sprintf(registriesConf, registry),
		filepath.Join(policyDir, "policy.json"): policyJSON,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
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
