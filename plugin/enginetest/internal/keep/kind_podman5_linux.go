package keep

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
)

// wholePodman is a newer Podman with all that it depends on, the C library included, which
// all programs of the engine then use.
func wholePodman(kind Kind, version, suite, base string) bundle {
	return bundle{
		name: string(kind), suite: suite, base: base, version: version, whole: true,
		packages: []string{
			"podman", "netavark", "aardvark-dns", "conmon", "crun", "runc", "nftables", "iptables",
			"catatonit", "passt", "uidmap",
		},
	}
}

func podman5Bundle() bundle { return wholePodman(Podman5, "5.", "sid", "") }

// podman5Recipe is Podman 5, beside its clients. Its rules are those of nftables.
func podman5Recipe() recipe {
	r := podmanRecipe()
	r.kind, r.slot, r.version, r.bundles = Podman5, 18, "5.", []bundle{podman5Bundle()}
	r.programs = slices.DeleteFunc(r.programs, func(program string) bool { return program == "runc" || program == "iptables" })
	return r
}

// podman6Recipe is Podman 6, beside its clients. It runs on cgroups of version 2 only.
func podman6Recipe() recipe {
	r := podman5Recipe()
	r.kind, r.slot, r.version = Podman6, 20, "6."
	r.bundles = []bundle{wholePodman(Podman6, r.version, "experimental", "sid")}
	r.start = startPodmanOnCgroup2
	return r
}

// showCgroup2 shows the engine's processes a machine that has only cgroups of version 2.
const showCgroup2 = `
umount -lR /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
`

func startPodmanOnCgroup2(ctx context.Context, r *running) error {
	r.onStop(func(context.Context) error { return removePodmanCgroups(r.Dir) })
	if err := r.enclose(ctx); err != nil {
		return err
	}
	if err := r.script(ctx, showCgroup2); err != nil {
		return err
	}
	return r.startPodmanBeside(ctx, "crun")
}

// podman5RootlessRecipe is Podman 5 of an ordinary user, beside its clients, as
// [podmanRootlessRecipe]. Its containers' network is pasta's, which needs a default route.
func podman5RootlessRecipe() recipe {
	r := podmanRootlessRecipe()
	r.kind, r.slot, r.version, r.bundles = Podman5Rootless, 19, "5.", []bundle{podman5Bundle()}
	r.programs = slices.DeleteFunc(r.programs, func(program string) bool { return program == "runc" || program == "iptables" })
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
