package keep

import "slices"

const engine29Version = "29.5.2"

// engine29Module is Docker Engine 29.5.2, which no Debian package has. Version
// v2.0.0-beta.15 of its module is the same commit as docker-v29.5.2. Without the flag,
// the engine would call itself library-import.
func engine29Module() goModule {
	return goModule{
		name:     "dockerd-" + engine29Version,
		path:     "github.com/moby/moby/v2",
		version:  "v2.0.0-beta.15",
		commands: []string{"cmd/dockerd", "cmd/docker-proxy"},
		flags: []string{
			"-ldflags=-s -w -X github.com/moby/moby/v2/dockerversion.Version=" + engine29Version,
			"-tags=no_libnftables", // it runs nft instead
		},
		cgo: true,
	}
}

// on29 makes an engine of another version one of version 29. Its containers need a newer
// runc than the machine's, and this one a newer C library, which all programs of the engine
// then use.
func on29(r recipe) recipe {
	r.module, r.version = engine29Module(), engine29Version
	r.programs = slices.DeleteFunc(append(r.programs, "gcc"), func(program string) bool {
		return program == "runc"
	})
	runc := bundle{name: "runc-1", suite: "sid", packages: []string{"runc"}, version: "1.", whole: true}
	r.bundles = append(slices.Clone(r.bundles), runc)
	return r
}

// engine29Recipe is Docker Engine 29 with iptables, beside its clients.
func engine29Recipe() recipe {
	r := on29(engine28Recipe())
	r.kind, r.slot = Engine29, 14
	return r
}
