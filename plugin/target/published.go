package target

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/go-connections/nat"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/candidates"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
)

// What people type for a server is often an address of the engine's host, with the port
// that a container publishes there.

// IsAddress says whether a host is an address, or a name for the host of an engine, rather
// than the name of a container.
func IsAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || isLocalhost(host) || slices.Contains(candidates.HostAliases, strings.ToLower(host))
}

func isLocalhost(host string) bool { return strings.EqualFold(host, "localhost") }

// publisher is a container that publishes a port of the engine's host.
type publisher struct {
	id, name string
	state    string
	bindings []facts.Binding // of that host port
	port     uint16          // in the container
	wouldBe  bool            // it was created to publish the port, and the engine does not
	udp      bool            // it publishes the port for UDP only
	inside   bool            // the number is that of its own port, which the host may have under another one
}

// String says who publishes the port, which port it is in the container, and where it is
// published.
func (p publisher) String() string {
	if len(p.bindings) == 0 {
		return fmt.Sprintf("%s:%d (not published)", p.name, p.port)
	}
	return fmt.Sprintf("%s:%d (%s)", p.name, p.port, joinBindings(p.bindings))
}

func joinBindings(bindings []facts.Binding) string {
	at := make([]string, len(bindings))
	for i, b := range bindings {
		at[i] = b.String()
	}
	return strings.Join(at, ", ")
}

// covers says whether one of the bindings includes an address of the host.
func (p publisher) covers(ip netip.Addr) bool {
	return slices.ContainsFunc(p.bindings, func(b facts.Binding) bool { return b.Covers(ip) })
}

// publishersOf lists the running containers that publish a TCP port of the engine's host,
// sorted by name.
func (r *run) publishersOf(ctx context.Context, hostPort uint16) ([]publisher, error) {
	return r.publishersFor(ctx, hostPort, "tcp")
}

func (r *run) publishersFor(ctx context.Context, hostPort uint16, protocol string) ([]publisher, error) {
	all, err := engine.ListContainers(ctx, r.reader, filters.NewArgs())
	if err != nil {
		return nil, fmt.Errorf("looking for the container that publishes port %d: %w", hostPort, err)
	}
	var found []publisher
	for _, c := range all {
		p := publisher{id: c.ID, name: summaryName(c), state: c.State}
		for _, port := range c.Ports {
			if port.PublicPort == hostPort && port.Type == protocol {
				p.add(port.IP, hostPort, port.PrivatePort)
			}
		}
		if len(p.bindings) > 0 {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b publisher) int { return strings.Compare(a.name, b.name) })
	return found, nil
}

func (p *publisher) add(hostIP string, hostPort, port uint16) {
	ip := facts.ParseAddr(hostIP)
	if !ip.IsValid() {
		ip = netip.IPv4Unspecified() // Podman names no address and publishes on every IPv4 one
	}
	p.bindings, p.port = append(p.bindings, facts.Binding{HostIP: ip, HostPort: hostPort}), port
}

// withPort lists the running containers that have a TCP port with a number that is none of the
// engine's host, as far as the engine knows of it: it is exposed, or published as another one.
func (r *run) withPort(ctx context.Context, port uint16) ([]publisher, error) {
	all, err := engine.ListContainers(ctx, r.reader, filters.NewArgs())
	if err != nil {
		return nil, fmt.Errorf("looking for the container with port %d: %w", port, err)
	}
	var found []publisher
	for _, c := range all {
		p := publisher{id: c.ID, name: summaryName(c), state: c.State, port: port, inside: true}
		isPort := func(p container.Port) bool { return p.PrivatePort == port && p.Type == "tcp" }
		if notRunning(c) || !slices.ContainsFunc(c.Ports, isPort) {
			continue
		}
		for _, known := range c.Ports {
			if isPort(known) && known.PublicPort != 0 {
				p.add(known.IP, known.PublicPort, port)
			}
		}
		found = append(found, p)
	}
	slices.SortFunc(found, func(a, b publisher) int { return strings.Compare(a.name, b.name) })
	return found, nil
}

// wouldBePublishers lists the containers that were created to publish a TCP port of the
// engine's host and do not: they do not run, or are on no network for which the engine publishes
// ports. Only an inspect shows it.
func (r *run) wouldBePublishers(ctx context.Context, hostPort uint16) ([]publisher, error) {
	all, err := engine.ListContainers(ctx, r.reader, filters.NewArgs())
	if err != nil {
		return nil, fmt.Errorf("looking for the container that publishes port %d: %w", hostPort, err)
	}
	publishes := func(c container.Summary) bool {
		return !notRunning(c) && slices.ContainsFunc(c.Ports, func(p container.Port) bool { return p.PublicPort != 0 })
	}
	all = slices.DeleteFunc(all, publishes) // its network publishes what it asks for
	var found []publisher
	for _, c := range all[:min(len(all), maxCandidates)] {
		response, err := facts.InspectContainer(ctx, r.reader, c.ID)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil: // it is gone by now
			continue
		}
		if p, ok := wouldPublish(response, hostPort); ok {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b publisher) int { return strings.Compare(a.name, b.name) })
	return found, nil
}

// wouldPublish returns what a container was created to publish at a port of the host.
func wouldPublish(response container.InspectResponse, hostPort uint16) (publisher, bool) {
	if response.HostConfig == nil || response.State == nil {
		return publisher{}, false
	}
	p := publisher{id: response.ID, name: facts.ContainerName(response), state: response.State.Status, wouldBe: true}
	for port, bindings := range response.HostConfig.PortBindings {
		for _, inside := range appendTCP(nil, string(port)) {
			for _, b := range bindings {
				if b.HostPort == strconv.Itoa(int(hostPort)) {
					p.add(b.HostIP, hostPort, inside)
				}
			}
		}
	}
	return p, len(p.bindings) > 0
}

// resolveAddress turns a target that is an address into a container or a port of the
// engine's host, and records what it was taken for.
func (r *run) resolveAddress(ctx context.Context) error {
	address, port := r.target.Address, r.target.Port
	typed := net.JoinHostPort(address, strconv.Itoa(int(port)))
	if ip, err := netip.ParseAddr(address); err == nil {
		if found, err := r.byAddress(ctx, ip.Unmap()); err != nil || found.ID != "" {
			r.target.Container = found.ID
			r.known.Meaning = fmt.Sprintf("%s is an address of container %s", ip, summaryName(found))
			return err
		}
	}
	publishers, err := r.publishersOf(ctx, port)
	if err != nil {
		return err
	}
	if ip, err := netip.ParseAddr(address); err == nil && r.isUnknown(ctx, ip.Unmap(), publishers) {
		r.unknownAddress = ip.Unmap()
	}
	notUp := func(p publisher) bool { return p.state != container.StateRunning && p.state != container.StatePaused }
	if up := slices.DeleteFunc(slices.Clone(publishers), notUp); len(up) > 0 {
		publishers = up // Podman lists the others too
	}
	publishers = nearest(publishers, address)
	if len(publishers) > 1 {
		return fmt.Errorf("several containers publish port %d: %s: choose one with CONTAINER:PORT", port, joinPublishers(publishers))
	}
	if len(publishers) == 0 {
		return r.resolveUnpublished(ctx, typed)
	}
	r.take(publishers[0], typed)
	return r.noteUnstarted(ctx)
}

// noteUnstarted notes which containers were created to publish the port too and not started,
// since it is taken: the user may mean one of those.
func (r *run) noteUnstarted(ctx context.Context) error {
	others, err := r.wouldBePublishers(ctx, r.typed.Port)
	others = slices.DeleteFunc(others, func(p publisher) bool { return p.state != "created" })
	if err != nil || len(others) == 0 {
		return err
	}
	r.known.Meaning += "; not started, and would publish it too: " + joinPublishers(others)
	return nil
}

// resolveUnpublished resolves an address whose port no container publishes for TCP.
func (r *run) resolveUnpublished(ctx context.Context, typed string) error {
	if found, err := r.takeOwnLocalhost(ctx); found || err != nil {
		return err
	}
	publishers, err := r.wouldBePublishers(ctx, r.target.Port)
	if err != nil {
		return err
	}
	if len(publishers) == 0 {
		if publishers, err = r.publishersFor(ctx, r.target.Port, "udp"); err != nil {
			return err
		}
		for i := range publishers {
			publishers[i].udp = true
		}
	}
	if len(publishers) == 0 && r.isOwnLocalhost() {
		if publishers, err = r.withPort(ctx, r.target.Port); err != nil {
			return err
		}
	}
	if len(publishers) != 1 || r.isTaken(ctx, typed) {
		return r.resolveHost(typed, publishers)
	}
	r.take(publishers[0], typed)
	return nil
}

// isOwnLocalhost says whether the address is one of this machine to itself.
func (r *run) isOwnLocalhost() bool {
	ip, _ := netip.ParseAddr(r.target.Address)
	return (isLocalhost(r.target.Address) || ip.IsLoopback() || ip.IsUnspecified()) && r.engine.Self.OnHost()
}

// take makes a publisher the target, and says what the user's address was taken for.
func (r *run) take(p publisher, typed string) {
	r.target.Container, r.target.Port = p.id, p.port
	ip, err := netip.ParseAddr(r.target.Address)
	leads := err != nil || ip.IsUnspecified() || p.covers(ip.Unmap())
	if isLocalhost(r.target.Address) {
		leads = p.covers(candidates.Loopback4) || p.covers(candidates.Loopback6)
	}
	switch {
	case p.inside && len(p.bindings) == 0:
		r.known.Meaning = fmt.Sprintf("no container publishes port %d; container %s has such a port and does not publish it", p.port, p.name)
	case p.inside:
		r.known.Meaning = fmt.Sprintf("no container publishes port %d of the host; container %s publishes its port %[1]d at %[3]s", p.port, p.name, joinBindings(p.bindings))
	case r.unknownAddress.IsValid():
		r.known.Meaning = fmt.Sprintf("%s is no address of this machine or of a container that is known; container %s publishes its port %d at %s", r.unknownAddress, p.name, p.port, joinBindings(p.bindings))
	case p.wouldBe && p.state == container.StateRunning:
		r.known.Meaning = fmt.Sprintf("container %s is to publish its port %d at %s, and the engine does not publish it", p.name, p.port, joinBindings(p.bindings))
	case p.wouldBe, p.state != container.StateRunning && p.state != container.StatePaused: // Podman lists the ports of those too
		r.known.Meaning = fmt.Sprintf("%s would be port %d of container %s, which is %s", typed, p.port, p.name, p.state)
	case p.udp:
		r.known.Meaning = fmt.Sprintf("container %s publishes its port %d at %s, for UDP only", p.name, p.port, joinBindings(p.bindings))
	case !leads:
		r.known.Meaning = fmt.Sprintf("container %s publishes its port %d at %s", p.name, p.port, joinBindings(p.bindings))
	default:
		r.known.Meaning = fmt.Sprintf("%s is port %d of container %s, which publishes it", typed, p.port, p.name)
	}
}

// takeOwnLocalhost makes the container that the user asks from the target, or the one whose
// network it shares, if the address is loopback there. It is false if the address is no
// loopback address, or the user does not ask from one container that has a network of its own.
func (r *run) takeOwnLocalhost(ctx context.Context) (bool, error) {
	ip, _ := netip.ParseAddr(r.target.Address)
	if !isLocalhost(r.target.Address) && !ip.IsLoopback() || len(r.target.From) != 1 {
		return false, nil
	}
	from := r.target.From[0]
	if from == probing.VantageHost || strings.HasPrefix(from, VantageNetwork) {
		return false, nil
	}
	client, err := r.find(ctx, from)
	if err != nil || client.HostConfig == nil || client.HostConfig.NetworkMode.IsHost() {
		return false, err
	}
	if r.meantInstead, err = r.serversBeside(ctx, client); err != nil {
		return false, err
	}
	r.target.Container, r.ownLocalhost = client.ID, !client.HostConfig.NetworkMode.IsContainer()
	r.known.Meaning = fmt.Sprintf("no container publishes port %d, and in container %s, %s is that container itself", r.target.Port, from, r.target.Address)
	if mode := client.HostConfig.NetworkMode; mode.IsContainer() {
		r.target.Container = mode.ConnectedContainer()
		r.known.Meaning = fmt.Sprintf("no container publishes port %d, and in container %s, %s is the network of another container that it shares", r.target.Port, from, r.target.Address)
	}
	return true, nil
}

// serversBeside lists the servers that a user may mean who asks for localhost in a container:
// those on its networks with that port, other containers with it, and one on this machine.
func (r *run) serversBeside(ctx context.Context, client container.InspectResponse) ([]string, error) {
	all, err := r.withPort(ctx, r.target.Port)
	if err != nil {
		return nil, err
	}
	var near, far []string
	for _, p := range all {
		response, err := facts.InspectContainer(ctx, r.reader, p.id)
		if err != nil || p.id == client.ID || facts.NamespaceOwner(response) == facts.NamespaceOwner(client) {
			continue
		}
		if network := commonNetwork(client, response); network != "" {
			near = append(near, fmt.Sprintf("%s:%d, container %[1]s on network %[3]s", p.name, p.port, network))
		} else {
			far = append(far, fmt.Sprintf("container %s, with which it has no network in common", p.name))
		}
	}
	if r.isTaken(ctx, net.JoinHostPort("localhost", strconv.Itoa(int(r.target.Port)))) {
		far = append(far, "a server on the engine's host")
	}
	return append(near, far...), nil
}

// commonNetwork returns a network with names that two containers have in common; empty if
// there is none.
func commonNetwork(a, b container.InspectResponse) string {
	if a.NetworkSettings == nil || b.NetworkSettings == nil {
		return ""
	}
	for _, name := range slices.Sorted(maps.Keys(a.NetworkSettings.Networks)) {
		if b.NetworkSettings.Networks[name] != nil && name != "bridge" && name != "host" && name != "none" {
			return name
		}
	}
	return ""
}

// resolveHost takes an address for the engine's host. It names the other containers that may be
// meant.
func (r *run) resolveHost(typed string, others []publisher) error {
	if ip, err := netip.ParseAddr(r.target.Address); err == nil && !r.isHost(ip.Unmap()) {
		return fmt.Errorf("no container has the address %s, and it is none of the engine's host that is known: use CONTAINER:PORT, or host:PORT for a server on the engine's host", ip)
	}
	r.known.Meaning = fmt.Sprintf("no container publishes port %d, so %s is a server on the engine's host", r.target.Port, typed)
	switch {
	case len(others) == 0:
	case others[0].udp:
		r.known.Meaning += "; these publish it for UDP: " + joinPublishers(others)
	case others[0].inside:
		r.known.Meaning += "; these containers have such a port: " + joinPublishers(others)
	default:
		r.known.Meaning += "; these would publish it: " + joinPublishers(others)
	}
	return nil
}

// isHost says whether an address is known to be one of the engine's host.
func (r *run) isHost(ip netip.Addr) bool {
	own := r.engine.Self.OnHost() && slices.Contains(facts.OwnAddresses(), ip)
	return ip.IsLoopback() || ip.IsUnspecified() || ip.String() == r.engine.Host || own
}

// isUnknown says whether an address is neither of the engine's host, which is this machine, nor a
// gateway of the containers that publish the port. It may be one that a router forwards to it.
func (r *run) isUnknown(ctx context.Context, ip netip.Addr, publishers []publisher) bool {
	if r.engine.Host != "" || !r.engine.Self.OnHost() || r.isHost(ip) {
		return false
	}
	for _, p := range publishers {
		response, err := facts.InspectContainer(ctx, r.reader, p.id)
		if err != nil || response.NetworkSettings == nil {
			return false
		}
		for _, endpoint := range response.NetworkSettings.Networks {
			if endpoint != nil && (facts.ParseAddr(endpoint.Gateway) == ip || facts.ParseAddr(endpoint.IPv6Gateway) == ip) {
				return false
			}
		}
	}
	return true
}

// isTaken says whether something accepts connections at the address, as it is seen from
// here, although no container publishes its port.
func (r *run) isTaken(ctx context.Context, address string) bool {
	if r.engine.Host != "" || !r.engine.Self.OnHost() {
		return false // here is not the engine's host
	}
	dialer := net.Dialer{Timeout: r.target.Timeout}
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = connection.Close()
	return true
}

// byAddress returns the running container that has an address; an empty one if there is
// none.
func (r *run) byAddress(ctx context.Context, ip netip.Addr) (container.Summary, error) {
	if ip.IsLoopback() || ip.IsUnspecified() {
		return container.Summary{}, nil
	}
	all, err := engine.ListContainers(ctx, r.reader, filters.NewArgs())
	if err != nil {
		return container.Summary{}, fmt.Errorf("looking for the container with the address %s: %w", ip, err)
	}
	for _, c := range all {
		if c.NetworkSettings == nil || notRunning(c) {
			continue
		}
		for _, endpoint := range c.NetworkSettings.Networks {
			if endpoint != nil && (facts.ParseAddr(endpoint.IPAddress) == ip || facts.ParseAddr(endpoint.GlobalIPv6Address) == ip) {
				return c, nil
			}
		}
	}
	return container.Summary{}, nil
}

// nearest returns the publishers to which an address leads. If it leads to none of them, or
// is a name that containers resolve, it returns all.
func nearest(publishers []publisher, address string) []publisher {
	ip, err := netip.ParseAddr(address)
	switch {
	case isLocalhost(address), err == nil && ip.IsUnspecified() && ip.Is4():
		ip = candidates.Loopback4
	case err == nil && ip.IsUnspecified():
		ip = candidates.Loopback6
	case err != nil:
		return publishers
	}
	leads := slices.DeleteFunc(slices.Clone(publishers), func(p publisher) bool { return !p.covers(ip.Unmap()) })
	if len(leads) == 0 && isLocalhost(address) {
		leads = slices.DeleteFunc(slices.Clone(publishers), func(p publisher) bool { return !p.covers(candidates.Loopback6) })
	}
	if len(leads) > 0 {
		return leads
	}
	return publishers
}

func joinPublishers(publishers []publisher) string {
	text := make([]string, len(publishers))
	for i, p := range publishers {
		text[i] = netprobe.Visible(p.String(), maxName)
	}
	return strings.Join(text, ", ")
}

// containerPort returns the port in the container for a port that the user has named: the
// same, unless it is only known as a port of the engine's host that the container
// publishes.
func containerPort(response container.InspectResponse, named uint16) uint16 {
	if response.Config != nil {
		if _, exposed := response.Config.ExposedPorts[facts.TCPPort(named)]; exposed {
			return named
		}
	}
	if response.HostConfig != nil {
		if _, bound := response.HostConfig.PortBindings[facts.TCPPort(named)]; bound {
			return named
		}
	}
	if p, ok := wouldPublish(response, named); ok {
		return p.port
	}
	if response.NetworkSettings == nil {
		return named
	}
	for port, bindings := range response.NetworkSettings.Ports {
		isNamed := func(b nat.PortBinding) bool { return b.HostPort == strconv.Itoa(int(named)) }
		if inside := appendTCP(nil, string(port)); len(inside) > 0 && slices.ContainsFunc(bindings, isNamed) {
			return inside[0]
		}
	}
	return named
}
