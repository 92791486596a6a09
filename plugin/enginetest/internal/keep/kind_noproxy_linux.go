package keep

// noProxyRecipe is Docker 26.1 whose published ports are rules of iptables alone:
// no docker-proxy listens, accepts, or translates between address families.
func noProxyRecipe() recipe {
	r := engine26Recipe()
	r.kind, r.slot = Engine26_1NoProxy, 13
	r.start = beside("--userland-proxy=false")
	return r
}
