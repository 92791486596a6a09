package keep

import (
	"context"
	"slices"
)

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

// engine29NftablesRecipe is Docker Engine 29 that makes rules of nftables, beside its
// clients.
func engine29NftablesRecipe() recipe {
	r := engine29Recipe()
	r.kind, r.slot = Engine29Nftables, 15
	r.programs = append(r.programs, "nft")
	r.start = startNftables
	return r
}

func startNftables(ctx context.Context, r *running) error {
	if err := r.enclose(ctx); err != nil {
		return err
	}
	// The engine sets these by itself only with iptables.
	for _, name := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv6/conf/default/forwarding"} {
		if err := r.sysctl(ctx, name, "1"); err != nil {
			return err
		}
	}
	return r.startBeside(ctx, "--firewall-backend=nftables")
}

// engine29ToolboxRecipe is Docker Engine 29 on another address, with TLS, as [toolboxRecipe].
func engine29ToolboxRecipe() recipe {
	r := toolboxRecipe()
	r.kind, r.slot = Engine29Toolbox, 16
	r.bundles = engine28Recipe().bundles
	return on29(r)
}

// engine29RootlessRecipe is as [rootlessRecipe], with Docker Engine 29, and the RootlessKit and
// the script of Docker 28.5.
func engine29RootlessRecipe() recipe {
	r := rootlessRecipe()
	r.kind, r.slot, r.reach = Engine29Rootless, 17, reachRootless("10.231.17.53")
	r.programs = append(r.programs, "iptables")
	kit := bundle{name: "rootlesskit-2", suite: "sid", packages: []string{"rootlesskit"}, version: "2."}
	r.bundles = slices.Concat(engine28Recipe().bundles, []bundle{kit, rootlessBundle()})
	return on29(r)
}
