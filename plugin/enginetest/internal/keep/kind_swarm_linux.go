package keep

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/client"
	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"
)

// swarmNode is a node of a Swarm: Docker 26.1 in a namespace, on a switch with
// the other nodes. It is not in [recipes], because a Swarm is several engines.
func swarmNode(s *netSwitch) recipe {
	r := engine26Recipe()
	r.kind, r.slot = Swarm, 0
	r.start = func(ctx context.Context, r *running) error { return s.startNode(ctx, r) }
	return r
}

// netSwitch is a bridge in a separate namespace, where neither the engines' rules
// nor the machine's apply to what passes it. Its plan has the addresses of the
// nodes, and the subnets of the networks that they share.
type netSwitch struct {
	dir  string
	plan plan
	box  *sandbox
	next int // the address of the next node
}

const switchBridge = "switch"

// newSwitch makes a switch for a Swarm.
func (k *keeper) newSwitch() (*netSwitch, error) {
	slot, err := k.takeSlot(0, true)
	if err != nil {
		return nil, err
	}
	id := "switch-" + strconv.FormatUint(k.privates.Add(1), 10)
	s := &netSwitch{dir: filepath.Join(Dir(), id), plan: newPlan(slot), next: firstNode}
	if err := s.make(); err != nil {
		return nil, errors.Join(fmt.Errorf("making a switch for the nodes of a Swarm: %w", err), k.removeSwitch(s))
	}
	return s, nil
}

// firstNode is the last number of the first node's address.
const firstNode = 2

func (s *netSwitch) make() error {
	if err := addGuard(); err != nil {
		return err
	}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return err
	}
	var err error
	if s.box, err = newSandbox(s.dir, true); err != nil {
		return err
	}
	return inside(s.box, func(handle *netlink.Handle) error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = switchBridge
		bridge := &netlink.Bridge{LinkAttrs: attrs}
		if err := handle.LinkAdd(bridge); err != nil {
			return err
		}
		return handle.LinkSetUp(bridge)
	})
}

// removeSwitch ends the switch's namespace, and the links to it with it.
func (k *keeper) removeSwitch(s *netSwitch) error {
	defer k.freeSlot(s.plan.slot)
	var err error
	if s.box != nil {
		err = s.box.close()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// plug connects a node with the switch. There is no route to anywhere else.
func (s *netSwitch) plug(r *running) (netip.Addr, error) {
	address4 := planAddr(s.plan.slot, s.next)
	port := "node" + strconv.Itoa(s.next)
	s.next++
	err := inside(s.box, func(handle *netlink.Handle) error {
		bridge, err := handle.LinkByName(switchBridge)
		if err != nil {
			return err
		}
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MasterIndex = port, bridge.Attrs().Index
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsPid(r.box.cmd.Process.Pid)}
		if err := handle.LinkAdd(veth); err != nil {
			return err
		}
		return handle.LinkSetUp(veth)
	})
	if err != nil {
		return netip.Addr{}, fmt.Errorf("plugging the node into the switch: %w", err)
	}
	err = inside(r.box, func(handle *netlink.Handle) error {
		return setUp(handle, "eth0", netip.PrefixFrom(address4, 24))
	})
	if err != nil {
		return netip.Addr{}, fmt.Errorf("setting up the node's side of the link: %w", err)
	}
	return address4, nil
}

// startNode starts an engine whose clients are beside it.
func (s *netSwitch) startNode(ctx context.Context, r *running) error {
	if err := r.enclose(ctx); err != nil {
		return err
	}
	address4, err := s.plug(r)
	if err != nil {
		return err
	}
	// A node has its machine's name, which is different for every engine.
	name := "node-" + strconv.Itoa(s.next-firstNode)
	if err := r.script(ctx, "echo "+name+" > /proc/sys/kernel/hostname"); err != nil {
		return err
	}
	if err := r.startDockerd(ctx); err != nil {
		return err
	}
	r.Address = address4.String()
	r.Host = "unix://" + r.Socket
	r.Netns = r.box.netns()
	return nil
}

// startSwarm starts engines and makes one Swarm of them. The first one is its
// manager, the others are workers.
func (s *session) startSwarm(ctx context.Context, nodes int) (Reply, error) {
	if err := CheckRoot(); err != nil {
		return Reply{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	between, err := s.keeper.newSwitch()
	if err != nil {
		return Reply{}, err
	}
	s.switches = append(s.switches, between)
	var reply Reply
	for range nodes {
		node, err := s.keeper.start(ctx, swarmNode(between), "", Image{})
		if err != nil {
			return Reply{}, err
		}
		s.private = append(s.private, node)
		reply.Engines = append(reply.Engines, &node.Engine)
	}
	if err := joinAll(ctx, reply.Engines, between.plan); err != nil {
		return Reply{}, fmt.Errorf("making a Swarm: %w", err)
	}
	return reply, nil
}

// swarmPort is Docker's port for the management of a Swarm.
const swarmPort = 2377

// joinAll makes the first engine a manager and has the others join it.
func joinAll(ctx context.Context, engines []*Engine, shared plan) error {
	manager := engines[0]
	token, err := initSwarm(ctx, manager, shared)
	if err != nil {
		return err
	}
	group, joining := errgroup.WithContext(ctx)
	for _, worker := range engines[1:] {
		group.Go(func() error {
			return withAPI(worker, func(api *client.Client) error {
				return api.SwarmJoin(joining, swarm.JoinRequest{
					ListenAddr:    worker.Address,
					AdvertiseAddr: worker.Address,
					RemoteAddrs:   []string{fmt.Sprintf("%s:%d", manager.Address, swarmPort)},
					JoinToken:     token,
				})
			})
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return awaitNodes(ctx, manager, len(engines))
}

// awaitNodes waits until all nodes are ready. One that has just joined has no name
// and no address yet, and its state is unknown.
func awaitNodes(ctx context.Context, manager *Engine, count int) error {
	return withAPI(manager, func(api *client.Client) error {
		for {
			nodes, err := api.NodeList(ctx, swarm.NodeListOptions{})
			if err != nil {
				return err
			}
			ready := 0
			for _, n := range nodes {
				if n.Status.State == swarm.NodeStateReady && n.Description.Hostname != "" && n.Status.Addr != "" {
					ready++
				}
			}
			if ready == count {
				return nil
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%d of %d nodes are ready: %w", ready, count, ctx.Err())
			case <-time.After(readyPoll):
			}
		}
	})
}

// initSwarm makes a Swarm of one and returns what a worker joins it with.
func initSwarm(ctx context.Context, manager *Engine, shared plan) (token string, err error) {
	err = withAPI(manager, func(api *client.Client) error {
		_, err := api.SwarmInit(ctx, swarm.InitRequest{
			ListenAddr:      fmt.Sprintf("%s:%d", manager.Address, swarmPort),
			AdvertiseAddr:   manager.Address,
			DefaultAddrPool: []string{shared.pool().String()},
			SubnetSize:      poolSize,
		})
		if err != nil {
			return err
		}
		made, err := api.SwarmInspect(ctx)
		token = made.JoinTokens.Worker
		return err
	})
	return token, err
}

// withAPI opens the API of an engine while use runs.
func withAPI(e *Engine, use func(*client.Client) error) error {
	api, err := client.NewClientWithOpts(client.WithHost("unix://"+e.Socket), client.WithAPIVersionNegotiation())
	if err != nil {
		return err
	}
	return errors.Join(use(api), api.Close())
}
