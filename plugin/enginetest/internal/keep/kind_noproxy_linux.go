package keep

// noProxyRecipe is Docker 26.1 whose published ports are only rules of iptables:
// no docker-proxy listens, accepts, or translates between address families.
func noProxyRecipe() recipe {
	r := engine26Recipe()
	r.kind, r.slot = "engine-26.1-noproxy", 13
	r.reach.Clients["[::1]:PORT6"] = refused
	r.start = beside("--userland-proxy=false")
	return r
}
