package keep

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"

	"github.com/vishvananda/netns"
	"golang.org/x/sync/errgroup"
)

// The forwarder takes the place of docker-proxy in a Desktop-like engine: it
// listens on the machine's loopback interface, outside the engine's network
// namespace, accepts whatever comes, and only then tries the container. Like
// Desktop's own it also listens inside, where other containers come from.
//
// dockerd starts one for each published port and address family, with
// docker-proxy's arguments, and ends it with an interrupt.

// roleForwarder is the role of a process started by dockerd.
const roleForwarder = "forwarder"

// What dockerd hands to its proxy: see docker-proxy's main.
const (
	statusFD = 3 // where it waits for "0\n", or "1\n" and an error
	listenFD = 4 // with -use-listen-fd, since 28: a bound socket
)

// machineNetns is the machine's network namespace as seen by every process
// among an engine's own: the first of them was started with it open.
func machineNetns() string { return fmt.Sprintf("/proc/1/fd/%d", machineNetnsFD) }

// forwarding is what one forwarder is for.
type forwarding struct {
	proto     string
	host      netip.AddrPort
	container netip.AddrPort
	bound     bool // the listener inside is at listenFD
}

// runForwarder is the forwarder's main function.
func runForwarder(args []string) error {
	status := os.NewFile(statusFD, "status")
	listeners, f, err := openForwarder(args)
	if err != nil {
		_, _ = fmt.Fprintf(status, "1\n%s", err)
		return errors.Join(err, status.Close())
	}
	if _, err := io.WriteString(status, "0\n"); err != nil {
		return err
	}
	if err := status.Close(); err != nil {
		return err
	}
	var group errgroup.Group
	for _, listener := range listeners {
		group.Go(func() error { return f.serve(listener) })
	}
	return group.Wait()
}

func openForwarder(args []string) ([]net.Listener, forwarding, error) {
	f, err := parseForwarding(args)
	if err != nil {
		return nil, f, err
	}
	outer, err := f.listenOnMachine()
	if err != nil {
		return nil, f, err
	}
	inner, err := f.listenInside()
	if err != nil {
		return nil, f, errors.Join(err, outer.Close())
	}
	return []net.Listener{outer, inner}, f, nil
}

func parseForwarding(args []string) (forwarding, error) {
	var f forwarding
	var host, container netip.Addr
	var hostPort, containerPort uint
	flags := flag.NewFlagSet("forwarder", flag.ContinueOnError)
	flags.StringVar(&f.proto, "proto", "tcp", "")
	flags.TextVar(&host, "host-ip", netip.Addr{}, "")
	flags.UintVar(&hostPort, "host-port", 0, "")
	flags.TextVar(&container, "container-ip", netip.Addr{}, "")
	flags.UintVar(&containerPort, "container-port", 0, "")
	flags.BoolVar(&f.bound, "use-listen-fd", false, "")
	if err := flags.Parse(args); err != nil {
		return f, err
	}
	if f.proto != "tcp" {
		return f, fmt.Errorf("the tests' forwarder carries tcp, not %s", f.proto)
	}
	f.host = netip.AddrPortFrom(host, uint16(hostPort))
	f.container = netip.AddrPortFrom(container, uint16(containerPort))
	return f, nil
}

// onMachine is where it listens on the machine: never on an interface that
// others reach.
func (f forwarding) onMachine() netip.AddrPort {
	loopbackAddr := loopback
	if f.host.Addr().Is6() {
		loopbackAddr = netip.IPv6Loopback()
	}
	if f.host.Addr().IsLoopback() {
		loopbackAddr = f.host.Addr()
	}
	return netip.AddrPortFrom(loopbackAddr, f.host.Port())
}

// listenOnMachine makes its socket in the machine's network namespace, where it
// stays when the thread returns.
func (f forwarding) listenOnMachine() (net.Listener, error) {
	machine, err := netns.GetFromPath(machineNetns())
	if err != nil {
		return nil, fmt.Errorf("finding the machine's network: %w", err)
	}
	defer machine.Close() //nolint:errcheck // a descriptor
	var listener net.Listener
	err = inNamespace(machine, func() error {
		var config net.ListenConfig
		listener, err = config.Listen(context.Background(), "tcp", f.onMachine().String())
		return err
	})
	return listener, err
}

func (f forwarding) listenInside() (net.Listener, error) {
	if !f.bound {
		var config net.ListenConfig
		return config.Listen(context.Background(), "tcp", f.host.String())
	}
	file := os.NewFile(listenFD, "listener")
	listener, err := net.FileListener(file)
	return listener, errors.Join(err, file.Close())
}

// serve ends with the process.
func (f forwarding) serve(listener net.Listener) error {
	var connections errgroup.Group
	for {
		conn, err := listener.Accept()
		if err != nil {
			return errors.Join(err, connections.Wait())
		}
		connections.Go(func() error {
			f.forward(conn)
			return nil
		})
	}
}

// forward closes the client's connection when the container takes none.
func (f forwarding) forward(client net.Conn) {
	defer client.Close() //nolint:errcheck // the client sees it
	var dialer net.Dialer
	backend, err := dialer.DialContext(context.Background(), "tcp", f.container.String())
	if err != nil {
		return
	}
	defer backend.Close() //nolint:errcheck // the server sees it
	var group errgroup.Group
	group.Go(func() error { return passOn(backend, client) })
	group.Go(func() error { return passOn(client, backend) })
	_ = group.Wait()
}

// passOn copies until the source ends its side, and ends the other's.
func passOn(to, from net.Conn) error {
	_, err := io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	if err != nil {
		// Neither side can go on: what the other one sent has gone nowhere.
		_ = from.Close()
	}
	return err
}

// inNamespace does something on a thread of a network namespace, to which what
// it opens then belongs (network_namespaces(7)).
func inNamespace(target netns.NsHandle, do func() error) error {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer home.Close() //nolint:errcheck // a descriptor
	if err := netns.Set(target); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	doErr := do()
	if err := netns.Set(home); err != nil {
		// Not unlocked: the runtime ends a thread whose goroutine does.
		return fmt.Errorf("returning to the first network namespace: %w", err)
	}
	runtime.UnlockOSThread()
	return doErr
}
