package keep

// engine20Recipe is Docker 20.10.5, of Debian bullseye: the oldest engine that
// Debian still has, beside its clients. The machine's libdevmapper may be of a
// release that no longer has what it was linked with.
func engine20Recipe() recipe {
	r := debianRecipe("engine-20.10.5", 12, "bullseye", "20.10.5+")
	r.bundles[0].packages = append(r.bundles[0].packages, "libdevmapper1.02.1")
	r.reach.Clients = map[string]string{"127.0.0.1:PORT": answer, "[::1]:PORT": refused, "GATEWAY:PORT": answer, "IP:8080": answer}
	return r
}
