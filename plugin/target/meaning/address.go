package meaning

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
	return err == nil || IsLocalhost(host) || slices.Contains(candidates.HostAliases, strings.ToLower(host))
}

// IsLocalhost says whether a host is the name of loopback.
func IsLocalhost(host string) bool { return strings.EqualFold(host, "localhost") }

// Publisher is a container that publishes a port of the engine's host.
type Publisher struct {
	ID, Name string
	state    string
	Bindings []facts.Binding // of that host port
	Port     uint16          // in the container
	wouldBe  bool            // it was created to publish the port, and the engine does not
	udp      bool            // it publishes the port for UDP only
	inside   bool            // the number is that of its own port, which the host may have under another one
}

// String says who publishes the port, which port it is in the container, and where it is
// published.
func (p Publisher) String() string {
	if len(p.Bindings) == 0 {
		return fmt.Sprintf("%s:%d (not published)", p.Name, p.Port)
	}
	return fmt.Sprintf("%s:%d (%s)", p.Name, p.Port, joinBindings(p.Bindings))
}

func joinBindings(bindings []facts.Binding) string {
	at := make([]string, len(bindings))
	for i, b := range bindings {
		at[i] = b.String()
	}
	return strings.Join(at, ", ")
}

// Covers says whether one of the bindings includes an address of the host.
func (p Publisher) Covers(ip netip.Addr) bool {
	return slices.ContainsFunc(p.Bindings, func(b facts.Binding) bool { return b.Covers(ip) })
}

// PublishersOf lists the running containers that publish a TCP port of the engine's host,
// sorted by name.
func (r *Resolver) PublishersOf(ctx context.Context, hostPort uint16) ([]Publisher, error) {
	return r.publishersFor(ctx, hostPort, "tcp")
}

func (r *Resolver) publishersFor(ctx context.Context, hostPort uint16, protocol string) ([]Publisher, error) {
	all, err := engine.ListContainers(ctx, r.Reader, filters.NewArgs())
	if err != nil {
		return nil, fmt.Errorf("looking for the container that publishes port %d: %w", hostPort, err)
	}
	var found []Publisher
	for _, c := range all {
		p := Publisher{ID: c.ID, Name: summaryName(c), state: c.State}
		for _, port := range c.Ports {
			if port.PublicPort == hostPort && port.Type == protocol {
				p.Add(port.IP, hostPort, port.PrivatePort)
			}
		}
		if len(p.Bindings) > 0 {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b Publisher) int { return strings.Compare(a.Name, b.Name) })
	return found, nil
}

// Add adds a binding of a port in the container.
func (p *Publisher) Add(hostIP string, hostPort, port uint16) {
	ip := facts.ParseAddr(hostIP)
	if !ip.IsValid() {
		ip = netip.IPv4Unspecified() // Podman names no address and publishes on every IPv4 one
	}
	p.Bindings, p.Port = append(p.Bindings, facts.Binding{HostIP: ip, HostPort: hostPort}), port
}

// withPort lists the running containers that have a TCP port with a number that is none of the
// engine's host, as far as the engine knows of it: it is exposed, or published as another one.
func (r *Resolver) withPort(ctx context.Context, port uint16) ([]Publisher, error) {
	all, err := engine.ListContainers(ctx, r.Reader, filters.NewArgs())
	if err != nil {
		return nil, fmt.Errorf("looking for the container with port %d: %w", port, err)
	}
	var found []Publisher
	for _, c := range all {
		p := Publisher{ID: c.ID, Name: summaryName(c), state: c.State, Port: port, inside: true}
		isPort := func(p container.Port) bool { return p.PrivatePort == port && p.Type == "tcp" }
		if notRunning(c) || !slices.ContainsFunc(c.Ports, isPort) {
			continue
		}
		for _, known := range c.Ports {
			if isPort(known) && known.PublicPort != 0 {
				p.Add(known.IP, known.PublicPort, port)
			}
		}
		found = append(found, p)
	}
	slices.SortFunc(found, func(a, b Publisher) int { return strings.Compare(a.Name, b.Name) })
	return found, nil
}

// wouldBePublishers lists the containers that were created to publish a TCP port of the
// engine's host and do not: they do not run, or are on no network for which the engine publishes
// ports. Only an inspect shows it, of those that may be one.
func (r *Resolver) wouldBePublishers(ctx context.Context, hostPort uint16, maybe func(container.Summary) bool) ([]Publisher, error) {
	all, err := engine.ListContainers(ctx, r.Reader, filters.NewArgs())
	if err != nil {
		return nil, fmt.Errorf("looking for the container that publishes port %d: %w", hostPort, err)
	}
	all = slices.DeleteFunc(all, func(c container.Summary) bool { return !maybe(c) })
	var found []Publisher
	for _, c := range all[:min(len(all), maxCandidates)] {
		response, err := facts.InspectContainer(ctx, r.Reader, c.ID)
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
	slices.SortFunc(found, func(a, b Publisher) int { return strings.Compare(a.Name, b.Name) })
	return found, nil
}

// publishesNothing is false for a running container with a published port: its network publishes
// what it asks for.
func publishesNothing(c container.Summary) bool {
	return notRunning(c) || !slices.ContainsFunc(c.Ports, func(p container.Port) bool { return p.PublicPort != 0 })
}

// wouldPublish returns what a container was created to publish at a port of the host.
func wouldPublish(response container.InspectResponse, hostPort uint16) (Publisher, bool) {
	if response.HostConfig == nil || response.State == nil {
		return Publisher{}, false
	}
	p := Publisher{ID: response.ID, Name: facts.ContainerName(response), state: response.State.Status, wouldBe: true}
	for port, bindings := range response.HostConfig.PortBindings {
		for _, inside := range AppendTCP(nil, string(port)) {
			for _, b := range bindings {
				if b.HostPort == strconv.Itoa(int(hostPort)) {
					p.Add(b.HostIP, hostPort, inside)
				}
			}
		}
	}
	return p, len(p.Bindings) > 0
}

// ResolveAddress turns a target that is an address into a container or a port of the
// engine's host, and records what it was taken for.
func (r *Resolver) ResolveAddress(ctx context.Context) error {
	address, port := r.Address, r.Port
	typed := net.JoinHostPort(address, strconv.Itoa(int(port)))
	if ip, err := netip.ParseAddr(address); err == nil {
		if found, err := r.byAddress(ctx, ip.Unmap()); err != nil || found.ID != "" {
			r.Container = found.ID
			r.Text = fmt.Sprintf("%s is an address of container %s", ip, summaryName(found))
			return err
		}
	}
	publishers, err := r.PublishersOf(ctx, port)
	if err != nil {
		return err
	}
	if ip, err := netip.ParseAddr(address); err == nil && r.isUnknown(ctx, ip.Unmap(), publishers) {
		r.UnknownAddress = ip.Unmap()
	}
	notUp := func(p Publisher) bool { return p.state != container.StateRunning && p.state != container.StatePaused }
	if up := slices.DeleteFunc(slices.Clone(publishers), notUp); len(up) > 0 {
		publishers = up // Podman lists the others too
	}
	publishers = nearest(publishers, address)
	if len(publishers) > 1 {
		return fmt.Errorf("several containers publish port %d: %s: choose one with CONTAINER:PORT", port, JoinPublishers(publishers))
	}
	if len(publishers) == 0 {
		return r.resolveUnpublished(ctx, typed)
	}
	r.take(publishers[0], typed)
	return r.noteUnstarted(ctx)
}

// noteUnstarted notes which containers were created to publish the port too and not started,
// since it is taken: the user may mean one of those.
func (r *Resolver) noteUnstarted(ctx context.Context) error {
	unstarted := func(c container.Summary) bool { return c.State == container.StateCreated }
	others, err := r.wouldBePublishers(ctx, r.typedPort, unstarted)
	if err != nil || len(others) == 0 {
		return err
	}
	r.Text += "; not started, and would publish it too: " + JoinPublishers(others)
	return nil
}

// resolveUnpublished resolves an address whose port no container publishes for TCP.
func (r *Resolver) resolveUnpublished(ctx context.Context, typed string) error {
	if found, err := r.takeOwnLocalhost(ctx); found || err != nil {
		return err
	}
	publishers, err := r.wouldBePublishers(ctx, r.Port, publishesNothing)
	if err != nil {
		return err
	}
	if len(publishers) == 0 {
		if publishers, err = r.publishersFor(ctx, r.Port, "udp"); err != nil {
			return err
		}
		for i := range publishers {
			publishers[i].udp = true
		}
	}
	if len(publishers) == 0 && r.isOwnLocalhost() {
		if publishers, err = r.withPort(ctx, r.Port); err != nil {
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
func (r *Resolver) isOwnLocalhost() bool {
	ip, _ := netip.ParseAddr(r.Address)
	return (IsLocalhost(r.Address) || ip.IsLoopback() || ip.IsUnspecified()) && r.Engine.Self.OnHost()
}

// take makes a publisher the target, and says what the user's address was taken for.
func (r *Resolver) take(p Publisher, typed string) {
	r.Container, r.Port = p.ID, p.Port
	ip, err := netip.ParseAddr(r.Address)
	leads := err != nil || ip.IsUnspecified() || p.Covers(ip.Unmap())
	if IsLocalhost(r.Address) {
		leads = p.Covers(candidates.Loopback4) || p.Covers(candidates.Loopback6)
	}
	switch {
	case p.inside && len(p.Bindings) == 0:
		r.Text = fmt.Sprintf("no container publishes port %d; container %s has such a port and does not publish it", p.Port, p.Name)
	case p.inside:
		r.Text = fmt.Sprintf("no container publishes port %d of the host; container %s publishes its port %[1]d at %[3]s", p.Port, p.Name, joinBindings(p.Bindings))
	case r.UnknownAddress.IsValid() && !p.wouldBe:
		r.Text = fmt.Sprintf("%s is no address of this machine or of a container that is known; container %s publishes its port %d at %s", r.UnknownAddress, p.Name, p.Port, joinBindings(p.Bindings))
	case p.wouldBe && p.state == container.StateRunning:
		r.Text = fmt.Sprintf("container %s is to publish its port %d at %s, and the engine does not publish it", p.Name, p.Port, joinBindings(p.Bindings))
	case p.wouldBe, p.state != container.StateRunning && p.state != container.StatePaused: // Podman lists the ports of those too
		r.Text = fmt.Sprintf("%s would be port %d of container %s, which is %s", typed, p.Port, p.Name, p.state)
	case p.udp:
		r.Text = fmt.Sprintf("container %s publishes its port %d at %s, for UDP only", p.Name, p.Port, joinBindings(p.Bindings))
	case !leads:
		r.Text = fmt.Sprintf("container %s publishes its port %d at %s", p.Name, p.Port, joinBindings(p.Bindings))
	default:
		r.Text = fmt.Sprintf("%s is port %d of container %s, which publishes it", typed, p.Port, p.Name)
	}
}

// takeOwnLocalhost makes the container that the user asks from the target, or the one whose
// network it shares, if the address is loopback there. It is false if the address is no
// loopback address, or the user does not ask from one container that has a network of its own.
func (r *Resolver) takeOwnLocalhost(ctx context.Context) (bool, error) {
	ip, _ := netip.ParseAddr(r.Address)
	if !IsLocalhost(r.Address) && !ip.IsLoopback() && !ip.IsUnspecified() || len(r.From) != 1 {
		return false, nil
	}
	from := r.From[0]
	if from == probing.VantageHost || strings.HasPrefix(from, probing.VantageNetwork) {
		return false, nil
	}
	client, err := r.Find(ctx, from)
	if err != nil || client.HostConfig == nil || client.HostConfig.NetworkMode.IsHost() {
		return false, err
	}
	if r.MeantInstead, err = r.serversBeside(ctx, client); err != nil {
		return false, err
	}
	r.Container, r.OwnLocalhost = client.ID, !client.HostConfig.NetworkMode.IsContainer()
	r.Text = fmt.Sprintf("no container publishes port %d, and in container %s, %s is that container itself", r.Port, from, r.Address)
	if mode := client.HostConfig.NetworkMode; mode.IsContainer() {
		r.Container = mode.ConnectedContainer()
		r.Text = fmt.Sprintf("no container publishes port %d, and in container %s, %s is the network of another container that it shares", r.Port, from, r.Address)
	}
	return true, nil
}

// serversBeside lists the servers that a user may mean who asks for localhost in a container:
// those on its networks with that port, other containers with it, and one on this machine.
func (r *Resolver) serversBeside(ctx context.Context, client container.InspectResponse) ([]facts.OtherServer, error) {
	all, err := r.withPort(ctx, r.Port)
	if err != nil {
		return nil, err
	}
	var near, far []facts.OtherServer
	for _, p := range all {
		response, err := facts.InspectContainer(ctx, r.Reader, p.ID)
		if err != nil || p.ID == client.ID || facts.NamespaceOwner(response) == facts.NamespaceOwner(client) {
			continue
		}
		if network := commonNetwork(client, response); network != "" {
			near = append(near, facts.OtherServer{
				Address: fmt.Sprintf("%s:%d", p.Name, p.Port),
				Where:   fmt.Sprintf("container %s on network %s", p.Name, network),
			})
		} else {
			far = append(far, facts.OtherServer{Where: fmt.Sprintf("container %s, whose name is not known to it", p.Name)})
		}
	}
	if r.isTaken(ctx, net.JoinHostPort("localhost", strconv.Itoa(int(r.Port)))) {
		far = append(far, facts.OtherServer{Where: "a server on the engine's host"})
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
		if b.NetworkSettings.Networks[name] != nil && !slices.Contains(withoutNames, name) {
			return name
		}
	}
	return ""
}

// resolveHost takes an address for the engine's host. It names the other containers that may be
// meant.
func (r *Resolver) resolveHost(typed string, others []Publisher) error {
	if ip, err := netip.ParseAddr(r.Address); err == nil && !r.isHost(ip.Unmap()) {
		return fmt.Errorf("no container has the address %s, and it is none of the engine's host that is known: use CONTAINER:PORT, or host:PORT for a server on the engine's host", ip)
	}
	r.Text = fmt.Sprintf("no container publishes port %d, so %s is a server on the engine's host", r.Port, typed)
	switch {
	case len(others) == 0:
	case others[0].udp:
		r.Text += "; these publish it for UDP: " + JoinPublishers(others)
	case others[0].inside:
		r.Text += "; these containers have such a port: " + JoinPublishers(others)
	default:
		r.Text += "; these would publish it: " + JoinPublishers(others)
	}
	return nil
}

// isHost says whether an address is known to be one of the engine's host.
func (r *Resolver) isHost(ip netip.Addr) bool {
	own := r.Engine.Self.OnHost() && slices.Contains(facts.OwnAddresses(), ip)
	return ip.IsLoopback() || ip.IsUnspecified() || ip.String() == r.Engine.Host || own
}

// isUnknown says whether an address is neither of the engine's host, which is this machine, nor a
// gateway of the containers that publish the port. It may be one that a router forwards to it.
func (r *Resolver) isUnknown(ctx context.Context, ip netip.Addr, publishers []Publisher) bool {
	if r.Engine.Host != "" || !r.Engine.Self.OnHost() || r.isHost(ip) {
		return false
	}
	for _, p := range publishers {
		response, err := facts.InspectContainer(ctx, r.Reader, p.ID)
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
func (r *Resolver) isTaken(ctx context.Context, address string) bool {
	if r.Engine.Host != "" || !r.Engine.Self.OnHost() {
		return false // here is not the engine's host
	}
	dialer := net.Dialer{Timeout: r.Timeout}
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = connection.Close()
	return true
}

// byAddress returns the running container that has an address; an empty one if there is
// none.
func (r *Resolver) byAddress(ctx context.Context, ip netip.Addr) (container.Summary, error) {
	if ip.IsLoopback() || ip.IsUnspecified() {
		return container.Summary{}, nil
	}
	all, err := engine.ListContainers(ctx, r.Reader, filters.NewArgs())
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
func nearest(publishers []Publisher, address string) []Publisher {
	ip, err := netip.ParseAddr(address)
	switch {
	case IsLocalhost(address), err == nil && ip.IsUnspecified() && ip.Is4():
		ip = candidates.Loopback4
	case err == nil && ip.IsUnspecified():
		ip = candidates.Loopback6
	case err != nil:
		return publishers
	}
	leads := slices.DeleteFunc(slices.Clone(publishers), func(p Publisher) bool { return !p.Covers(ip.Unmap()) })
	if len(leads) == 0 && IsLocalhost(address) {
		leads = slices.DeleteFunc(slices.Clone(publishers), func(p Publisher) bool { return !p.Covers(candidates.Loopback6) })
	}
	if len(leads) > 0 {
		return leads
	}
	return publishers
}

// JoinPublishers lists publishers in a sentence.
func JoinPublishers(publishers []Publisher) string {
	text := make([]string, len(publishers))
	for i, p := range publishers {
		text[i] = netprobe.Visible(p.String(), maxName)
	}
	return strings.Join(text, ", ")
}

// ContainerPort returns the port in the container for a port that the user has named: the
// same, unless it is only known as a port of the engine's host that the container
// publishes.
func ContainerPort(response container.InspectResponse, named uint16) uint16 {
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
		return p.Port
	}
	if response.NetworkSettings == nil {
		return named
	}
	for port, bindings := range response.NetworkSettings.Ports {
		isNamed := func(b nat.PortBinding) bool { return b.HostPort == strconv.Itoa(int(named)) }
		if inside := AppendTCP(nil, string(port)); len(inside) > 0 && slices.ContainsFunc(bindings, isNamed) {
			return inside[0]
		}
	}
	return named
}

// AppendTCP adds a port as the engine writes it, such as 80/tcp, unless it is there or of another
// protocol.
func AppendTCP(ports []uint16, port string) []uint16 {
	number, protocol, _ := strings.Cut(port, "/")
	parsed, err := strconv.ParseUint(number, 10, 16)
	if err != nil || protocol != "" && protocol != "tcp" || slices.Contains(ports, uint16(parsed)) {
		return ports
	}
	return append(ports, uint16(parsed))
}
