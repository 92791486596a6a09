package keep

// engine29ToolboxRecipe is Docker Engine 29 on another address, with TLS, as [toolboxRecipe].
func engine29ToolboxRecipe() recipe {
	r := toolboxRecipe()
	r.kind, r.slot = Engine29Toolbox, 16
	r.bundles = engine28Recipe().bundles
	return on29(r)
}
