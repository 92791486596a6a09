package keep

import "slices"

// wholePodman is a newer Podman with all that it depends on, the C library included, which
// all programs of the engine then use.
func wholePodman(kind Kind, version, suite, base string) bundle {
	return bundle{
		name: string(kind), suite: suite, base: base, version: version, whole: true,
		packages: []string{
			"podman", "netavark", "aardvark-dns", "conmon", "crun", "runc", "nftables", "iptables",
			"catatonit", "passt", "uidmap",
		},
	}
}

func podman5Bundle() bundle { return wholePodman(Podman5, "5.", "sid", "") }

// podman5Recipe is Podman 5, beside its clients. Its rules are those of nftables.
func podman5Recipe() recipe {
	r := podmanRecipe()
	r.kind, r.slot, r.version, r.bundles = Podman5, 18, "5.", []bundle{podman5Bundle()}
	r.programs = withoutOwn(r.programs)
	return r
}

// withoutOwn leaves out the programs that [wholePodman] has.
func withoutOwn(programs []string) []string {
	return slices.DeleteFunc(programs, func(program string) bool { return program == "runc" || program == "iptables" })
}
