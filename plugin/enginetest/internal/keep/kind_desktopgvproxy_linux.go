package keep

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
)

// gvproxyModule is the network of Podman's machines, and of others that run
// engines on a Mac or on Windows: a TCP/IP stack in an ordinary program.
func gvproxyModule() goModule {
	return goModule{
		name:     "gvproxy-0.8.9",
		path:     "github.com/containers/gvisor-tap-vsock",
		version:  "v0.8.9",
		commands: []string{"cmd/gvproxy", "cmd/vm"},
	}
}

// desktopGvproxyRecipe is an engine as a Desktop has one, with gvproxy between it
// and the machine: gvproxy listens on the machine's loopback interface, accepts
// whatever comes, and only then tries the engine's side.
func desktopGvproxyRecipe() recipe {
	r := desktopRecipe()
	r.kind, r.slot, r.start = DesktopGvproxy, 11, startDesktopGvproxy
	r.programs = append(r.programs, "ip")
	r.module = gvproxyModule()
	return r
}

func startDesktopGvproxy(ctx context.Context, r *running) error {
	r.names = map[string]netip.Addr{}
	for _, name := range desktopNames {
		r.names[name] = r.plan.alias()
	}
	if err := r.enclose(ctx); err != nil {
		return err
	}
	if err := r.limitPorts(ctx); err != nil {
		return err
	}
	if err := r.startGvproxy(ctx); err != nil {
		return err
	}
	exposer, err := r.writeRole(roleExposer, r.gvproxyAPI(), r.plan.inside().String())
	if err != nil {
		return err
	}
	err = r.startDockerd(ctx, "--userland-proxy-path", exposer, "--host-gateway-ip", r.plan.alias().String())
	r.Host = "unix://" + r.Socket
	return err
}

// gvproxyAPI is the address of gvproxy's API on the engine's side, as for the Podman
// in a machine.
func (r *running) gvproxyAPI() string { return netip.AddrPortFrom(r.plan.outside(), 80).String() }

// gvproxyConfig makes its network the plan's link. It has one more address, which
// leads to the machine's loopback address.
const gvproxyConfig = `listen: ["unix://%[1]s"]
stack:
  subnet: %[2]s
  gatewayIP: %[3]s
  nat: {"%[4]s": 127.0.0.1}
  gatewayVirtualIPs: ["%[4]s"]
`

// tap is the engine's end of that network. It has no default route: gvproxy would
// forward packets to any address.
const tap = tunDevice + `
ip tuntap add tap0 mode tap
ip address add %s dev tap0
ip link set tap0 up
`

// startGvproxy starts gvproxy in the machine's network, and its other end, which the
// module calls vm, in the engine's.
func (r *running) startGvproxy(ctx context.Context) error {
	nsenter, err := r.program("nsenter")
	if err != nil {
		return err
	}
	link := netip.PrefixFrom(r.plan.inside(), 24)
	if err := r.script(ctx, fmt.Sprintf(tap, link)); err != nil {
		return err
	}
	socket, config := r.path("gvproxy.sock"), r.path("gvproxy.yaml")
	text := fmt.Sprintf(gvproxyConfig, socket, link.Masked(), r.plan.outside(), r.plan.alias())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return fmt.Errorf("configuring gvproxy: %w", err)
	}
	gvproxy := process{
		name: "gvproxy",
		log:  r.path("gvproxy.log"),
		argv: []string{nsenter, "--net=" + machineNetns(), "/usr/sbin/gvproxy", "-config", config},
	}
	if err := r.box.start(ctx, gvproxy); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	if err := awaitUnix(ctx, socket); err != nil {
		return fmt.Errorf("gvproxy does not answer: %w; the end of its log:\n%s", err, Tail(gvproxy.log))
	}
	vm := process{
		name: "vm",
		log:  r.path("vm.log"),
		argv: []string{"/usr/sbin/vm", "-url", "unix://" + socket, "-iface", "tap0", "-preexisting"},
	}
	if err := r.box.start(ctx, vm); err != nil {
		return err
	}
	dial := func(ctx context.Context) (net.Conn, error) { return dialInside(ctx, r.box, r.gvproxyAPI()) }
	if err := awaitHTTP(ctx, dial); err != nil {
		return fmt.Errorf("gvproxy is not reached from the engine: %w; the end of its log:\n%s", err, Tail(vm.log))
	}
	return nil
}

// awaitUnix waits until a program listens.
func awaitUnix(ctx context.Context, socket string) error {
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "unix", socket)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(readyPoll):
		}
	}
}
