package keep

import "slices"

// rootless28Recipe is as [rootlessRecipe], with Docker 28.5 and the RootlessKit of its time.
// The machine's own runc runs its containers, as with [engine28Recipe].
func rootless28Recipe() recipe {
	r := rootlessRecipe()
	r.kind, r.slot, r.version, r.reach = "rootless-28.5", 10, engine28Recipe().version, reachRootless("10.231.10.53")
	r.programs = append(r.programs, "runc", "iptables")
	kit := bundle{name: "rootlesskit-2", suite: "sid", packages: []string{"rootlesskit"}, version: "2."}
	r.bundles = slices.Concat(engine28Recipe().bundles, []bundle{kit, rootlessBundle()})
	return r
}
