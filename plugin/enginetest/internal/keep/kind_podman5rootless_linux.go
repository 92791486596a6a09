package keep

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// podman5RootlessRecipe is Podman 5 of an ordinary user, beside its clients, as
// [podmanRootlessRecipe]. Its containers' network is pasta's, which needs a default route.
func podman5RootlessRecipe() recipe {
	r := podmanRootlessRecipe()
	r.kind, r.slot, r.version, r.bundles = Podman5Rootless, 19, "5.", []bundle{podman5Bundle()}
	r.programs = withoutOwn(r.programs)
	r.reach.Containers = map[string]string{"GATEWAY:PORT": answer}
	r.start = startPodmanWithRoute
	return r
}

func startPodmanWithRoute(ctx context.Context, r *running) error {
	if err := r.enclose(ctx); err != nil {
		return err
	}
	if err := r.addDeadEnd(); err != nil {
		return err
	}
	return r.startPodmanOfUser(ctx)
}

// addDeadEnd gives the engine's machine a default route that leads nowhere: to the other
// end of a link in the same namespace, which has no address.
func (r *running) addDeadEnd() error {
	err := inside(r.box, func(handle *netlink.Handle) error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "eth0"
		if err := handle.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "nowhere"}); err != nil {
			return err
		}
		if err := setUp(handle, "eth0", netip.PrefixFrom(r.plan.inside(), 24)); err != nil {
			return err
		}
		peer, err := handle.LinkByName("nowhere")
		if err != nil {
			return err
		}
		if err := handle.LinkSetUp(peer); err != nil {
			return err
		}
		return handle.RouteAdd(&netlink.Route{Gw: r.plan.outside().AsSlice()})
	})
	if err != nil {
		return fmt.Errorf("giving the engine a default route: %w", err)
	}
	return nil
}
