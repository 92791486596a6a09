package keep

import "context"

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
