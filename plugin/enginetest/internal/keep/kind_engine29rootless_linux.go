package keep

import "slices"

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
