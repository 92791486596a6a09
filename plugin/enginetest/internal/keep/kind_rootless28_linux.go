package keep

// rootless28Recipe is as [rootlessRecipe], with Docker 28.5 and the RootlessKit of its time.
// The machine's own runc runs its containers, as with [engine28Recipe].
func rootless28Recipe() recipe {
	r := rootlessRecipe()
	r.kind, r.slot = Rootless28_5, 10
	r.programs = append(r.programs, "runc", "iptables")
	r.bundles = append(engine28Recipe().bundles,
		bundle{name: "rootlesskit-2", suite: "sid", packages: []string{"rootlesskit"}, version: "2."}, rootlessBundle())
	return r
}
