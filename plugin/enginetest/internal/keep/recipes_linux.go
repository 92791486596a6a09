package keep

// recipes lists every kind; a new one is a file and a line here. Slots are
// address plans: 0 is only for the machine's own engine, 1 to 31 are for new kinds.
func recipes() []recipe {
	return []recipe{
		linuxRecipe(),
		toolboxRecipe(),
		desktopRecipe(),
		engine26Recipe(),
		engine28Recipe(),
		sshRecipe(),
		rootlessRecipe(),
		podmanRecipe(),
		dindRecipe(),
		podmanRootlessRecipe(),
		desktopGvproxyRecipe(),
		engine20Recipe(),
		noProxyRecipe(),
		engine29Recipe(),
		engine29NftablesRecipe(),
		engine29ToolboxRecipe(),
		engine29RootlessRecipe(),
		podman5Recipe(),
		podman5RootlessRecipe(),
		podman6Recipe(),
	}
}

// All describes every kind.
func All() []About {
	recipes := recipes()
	all := make([]About, len(recipes))
	for i, r := range recipes {
		all[i] = About{Kind: r.kind, Version: r.version, Reach: r.reach}
	}
	return all
}
