package keep

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"sync"

	"github.com/vishvananda/netlink"
)

// A parent is what a macvlan network of an engine is made on: an interface of the
// engine's machine that leads to a network with others on it. Here it is one end
// of a veth pair. The other end is the only neighbour, in a namespace that a
// process of the keeper holds, so that the pair is removed when the keeper ends, even
// if the engine's network is the machine's own.

// parentName is the interface's name in every engine's network.
const parentName = "np-parent"

// parents is what an engine has after the first request for its parent.
type parents struct {
	once   sync.Once
	parent *Parent
	err    error
}

func (k *keeper) parent(ctx context.Context, id string) (Reply, error) {
	engine, err := k.engine(id)
	if err != nil {
		return Reply{}, err
	}
	engine.parents.once.Do(func() {
		starting, cancel := context.WithTimeout(context.WithoutCancel(ctx), startWait)
		defer cancel()
		engine.parents.parent, engine.parents.err = engine.newParent(starting)
	})
	return Reply{Parent: engine.parents.parent}, engine.parents.err
}

// engineNetns is the network namespace where the engine makes networks.
func (r *running) engineNetns(ctx context.Context) (string, error) {
	switch {
	case r.network != nil:
		return r.network(ctx)
	case r.box != nil:
		return r.box.netns(), nil
	default:
		return "/proc/self/ns/net", nil
	}
}

func (r *running) newParent(ctx context.Context) (*Parent, error) {
	path, err := r.engineNetns(ctx)
	if err != nil {
		return nil, fmt.Errorf("finding the engine's network: %w", err)
	}
	dir := r.path("peer")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the peer's folder: %w", err)
	}
	peer, err := newSandbox(dir, true)
	if err != nil {
		return nil, err
	}
	r.onStop(func(context.Context) error {
		_ = insideOf(path, removeParent) // now; with the namespace it would go a moment later
		return peer.close()
	})
	subnet := r.plan.parent()
	parent := &Parent{
		Interface: parentName,
		Subnet:    subnet,
		Address:   r.plan.parentAddress(),
		Peer:      subnet.Addr().Next(),
		PeerNetns: peer.netns(),
	}
	if err := insideOf(path, func(handle *netlink.Handle) error { return parent.addTo(handle, peer) }); err != nil {
		return nil, fmt.Errorf("making a parent for macvlan networks: %w", err)
	}
	if err := inside(peer, parent.configurePeer); err != nil {
		return nil, fmt.Errorf("making the parent's neighbour: %w", err)
	}
	return parent, nil
}

// addTo makes the pair, and configures its end in the engine's network.
func (p *Parent) addTo(handle *netlink.Handle, peer *sandbox) error {
	_ = removeParent(handle) // of a keeper that was killed a moment ago
	attrs := netlink.NewLinkAttrs()
	attrs.Name = p.Interface
	pair := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsPid(peer.cmd.Process.Pid)}
	if err := handle.LinkAdd(pair); err != nil {
		return err
	}
	return setUp(handle, p.Interface, netip.PrefixFrom(p.Address, p.Subnet.Bits()))
}

func (p *Parent) configurePeer(handle *netlink.Handle) error {
	return setUp(handle, "eth0", netip.PrefixFrom(p.Peer, p.Subnet.Bits()))
}

func removeParent(handle *netlink.Handle) error {
	link, err := handle.LinkByName(parentName)
	if err != nil {
		return err
	}
	return handle.LinkDel(link)
}

// netnsOf is the network namespace of one of the engine's processes, by its id in the
// engine's process namespace.
func (b *sandbox) netnsOf(pid string) string {
	return fmt.Sprintf("/proc/%d/root/proc/%s/ns/net", b.cmd.Process.Pid, pid)
}
