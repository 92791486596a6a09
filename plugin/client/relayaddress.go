package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/go-connections/nat"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/bounds"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/candidates"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// RelayPort is the port that a relay listens on in its container, unless the user chooses
// another one.
const RelayPort = 4646

// A relay holds at most 130 KiB for each of its connections, and headers of 128 KiB. Go's
// runtime needs a few threads for each processor, and one for each system call that blocks.
const (
	relayMemory = 256 << 20
	relayPids   = 128
)

// publishRelay publishes the relay's port where the user says, or only where this process
// reaches it: on loopback, or on a remote engine at the address that its host has for this
// process.
func (r *run) publishRelay(ctx context.Context, c engine.AgentContainer) error {
	binding := nat.PortMapping{Port: facts.TCPPort(RelayPort)}
	if r.options.RelayPublish != nil {
		binding = *r.options.RelayPublish
	} else {
		var err error
		if binding.Binding.HostIP, err = r.relayAddress(ctx); err != nil {
			return err
		}
	}
	c.Config.ExposedPorts = nat.PortSet{binding.Port: {}}
	c.HostConfig.PortBindings = nat.PortMap{binding.Port: {binding.Binding}}
	pids := int64(relayPids)
	c.HostConfig.Memory, c.HostConfig.PidsLimit = relayMemory, &pids
	// Docker's default. Without it Podman 4.3 was seen to kill immediately, and the
	// relay has servers to remove.
	seconds := 10
	c.Config.StopTimeout = &seconds
	return nil
}

// relayAddress returns the address of the engine's host to publish on.
func (r *run) relayAddress(ctx context.Context) (string, error) {
	if r.engine.Host == "" {
		return candidates.Loopback4.String(), nil
	}
	if address, err := netip.ParseAddr(r.engine.Host); err == nil {
		return address.WithZone("").String(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, bounds.AnswerTime)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", r.engine.Host)
	if err != nil {
		return "", &report.SettingError{
			Setting: report.SettingRelayPublish,
			Err:     fmt.Errorf("the relay is published on the address of the engine's host, which is not known: %w: choose an address", err),
		}
	}
	// As package net dials: IPv4 first.
	slices.SortStableFunc(addresses, func(a, b netip.Addr) int { return a.Unmap().BitLen() - b.Unmap().BitLen() })
	return addresses[0].Unmap().String(), nil
}

// noSuchAddress matches the kernel's EADDRNOTAVAIL through an engine, which has no error code
// for it.
var noSuchAddress = regexp.MustCompile(`(?i)cannot assign requested address`)

// publishError returns the error of a client container. If the engine's host does not have
// the address that it has for this process, as behind a NAT, only the user can choose one.
func (r *run) publishError(err error) error {
	if !r.options.Relay || !noSuchAddress.MatchString(err.Error()) {
		return err
	}
	return &report.SettingError{
		Setting: report.SettingRelayPublish,
		Err:     fmt.Errorf("%w: publish the relay on an address that the engine's host has", err),
	}
}

// relay is a client container that proxies to its servers.
type relay struct {
	*worker
	access     RelayAccess
	identities []string          // of its servers
	published  []string          // its addresses on the engine's host
	attempts   []probing.Attempt // at the relay itself
}

// newRelay makes the token of a relay that has been started, and finds its addresses. It
// does not listen until it has its Job.
func (r *run) newRelay(ctx context.Context, worker *worker) (*relay, error) {
	found, known, err := r.inspectPublished(ctx, worker.ID)
	if err != nil {
		return nil, fmt.Errorf("inspecting the relay: %w", err)
	}
	relay := &relay{
		worker: worker,
		access: RelayAccess{
			Port:   known.Port,
			Token:  engine.NewToken(TokenBytes),
			Hosts:  append(slices.Clone(candidates.HostAliases), strings.ToLower(worker.Name)),
			Origin: r.request.Target.Header.Get("Origin"),
		},
		identities: r.newIdentities(),
	}
	if len(known.Bindings) == 0 {
		return nil, &report.Fault{
			Cause:    diagnosis.PortNotPublished,
			Evidence: []string{fmt.Sprintf("container %s has no published port, on network %s", relay.Name, found.HostConfig.NetworkMode)},
			Hint:     "put the relay on a network that publishes ports: not an internal network, none or host",
			Err:      errors.New("the relay cannot be reached from here"),
		}
	}
	for _, b := range known.Bindings {
		relay.published = append(relay.published, b.String())
	}
	for _, host := range []string{r.engine.Host, hostname(r.request.Target.Header)} {
		if host != "" {
			relay.access.Hosts = append(relay.access.Hosts, strings.ToLower(host))
		}
	}
	for _, c := range r.relayCandidates(known) {
		c.Kind = report.KindRelay
		relay.attempts = append(relay.attempts, probing.Attempt{Candidate: c, Target: netprobe.Target{
			Address: c.Address, Path: "/" + relay.access.Token + "/", Identity: relay.identities[0],
		}})
	}
	if len(relay.attempts) == 0 {
		return nil, notHere(relay.Name, known.Bindings)
	}
	return relay, nil
}

// publishDelay is how much later than its start a container's published port may be known:
// Podman 4.3 was seen to answer without it for a moment.
const publishDelay = 2 * time.Second

// inspectPublished inspects a container that has been started, and reads its addresses when
// its port has been published, or it seems that it never is.
func (r *run) inspectPublished(ctx context.Context, id string) (container.InspectResponse, facts.Addresses, error) {
	waiting, cancel := context.WithTimeout(ctx, publishDelay)
	defer cancel()
	for {
		found, err := r.engine.API.ContainerInspect(ctx, id)
		if err != nil {
			return found, facts.Addresses{}, err
		}
		known := facts.ReadContainer(found, relayPortOf(found)).Addresses
		never := found.HostConfig.NetworkMode.IsHost() || found.HostConfig.NetworkMode.IsNone()
		if len(known.Bindings) > 0 || never || !engine.Pause(waiting, engine.RetryPause) {
			return found, known, nil
		}
	}
}

// relayPortOf returns the port that the relay's container exposes.
func relayPortOf(found container.InspectResponse) uint16 {
	for port := range found.HostConfig.PortBindings {
		return uint16(port.Int()) //nolint:gosec // a port has 16 bits
	}
	return RelayPort
}

// hostname is the Host header of the requests, without a port.
func hostname(header http.Header) string {
	host := header.Get("Host")
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}

// relayCandidates returns the addresses that lead from here to the relay, as far as the
// engine knows. The requests have the token, which nobody else may get.
func (r *run) relayCandidates(known facts.Addresses) []candidates.Candidate {
	here := probing.Here(r.engine.Self)
	known.EngineHost = r.engine.Host
	known.HostAddresses = r.engine.HostAddresses
	known.NodeAddress = r.description.NodeAddress
	known.Desktop = r.description.Endpoint.Engine.Desktop
	if here.Client != nil {
		known.Client = here.Client.Networks
	}
	return slices.DeleteFunc(here.Candidates(known), func(c candidates.Candidate) bool {
		if c.Kind == report.KindContainerIP { // the container of this process may share a network with the relay
			return here.Container == ""
		}
		return c.Elsewhere || c.Kind == report.KindContainerName || !publishes(known.Bindings, c)
	})
}

// publishes says whether the bindings include the address of a candidate. A name is one of
// the engine's host.
func publishes(bindings []facts.Binding, c candidates.Candidate) bool {
	address, err := netip.ParseAddrPort(c.Address)
	if err != nil || c.Kind == report.KindPublishedAny {
		return true
	}
	return slices.ContainsFunc(bindings, func(b facts.Binding) bool {
		return b.HostPort == address.Port() && b.Covers(address.Addr())
	})
}

// notHere is the fault of a relay that is published on no address that leads here.
func notHere(name string, bindings []facts.Binding) *report.Fault {
	fault := &report.Fault{
		Hint: "publish the relay on an address that leads from here to the engine's host",
		Err:  errors.New("the relay cannot be reached from here"),
	}
	loopback := true
	for _, b := range bindings {
		fault.Evidence = append(fault.Evidence, fmt.Sprintf("container %s is published on %s", name, b))
		loopback = loopback && b.HostIP.IsLoopback()
	}
	if loopback {
		fault.Cause = diagnosis.PublishedOnLoopback
	}
	return fault
}

// serverPath is the path of a server below the relay's address.
func (r *relay) serverPath(server int) string {
	return fmt.Sprintf("/%s/servers/%d", r.access.Token, server+1)
}

// attemptsAt returns attempts at a server, at the relay's addresses.
func (r *relay) attemptsAt(request experiment.Request, server int) []probing.Attempt {
	attempts := slices.Clone(r.attempts)
	for i, a := range attempts {
		target := request.TargetAt(a.Address, r.identities[server])
		target.Path = r.serverPath(server) + target.Path
		if target.WebSocket != "" {
			target.WebSocket = r.serverPath(server) + target.WebSocket
		}
		attempts[i].Target = target
	}
	return attempts
}

// startOf returns an attempt to start a server at one of the relay's addresses.
func (r *relay) startOf(server int, at probing.Attempt) probing.Attempt {
	at.Target = netprobe.Target{
		Method: http.MethodPut, Address: at.Address, Path: r.serverPath(server), Identity: r.identities[server],
		Expect: netprobe.Expect{Status: http.StatusNoContent},
	}
	return at
}
