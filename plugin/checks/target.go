package checks

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/go-connections/nat"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/target"
)

const categoryTarget = "target"

// Target is a server that has been examined, and what came of that.
type Target struct {
	target.Facts

	Probes   []report.Probe
	Findings []report.Finding
}

// OfTarget tells what is known of a target, a line each. Why it is not reached is
// not judged here: a check fails for the cause that the findings have.
func OfTarget(ctx context.Context, target Target) []report.Check {
	s := &state{target: target}
	nodes := s.lookAtAll(ctx, target.checks())
	checks := make([]report.Check, 0, len(nodes))
	for _, n := range nodes {
		checks = append(checks, n.report(""))
	}
	return checks
}

func (t Target) checks() []check {
	switch {
	case t.Server.Host:
		return []check{
			t.check("addresses", (*state).lookAtHostAddresses),
			t.check("gateways", (*state).lookAtGateways),
			t.check("aliases", (*state).lookAtHostAliases),
			t.check("listeners", (*state).lookAtListeners),
		}
	case t.Container == nil:
		return nil
	}
	return slices.Concat([]check{
		t.check(checkOfState, (*state).lookAtState),
		t.check("exposed", (*state).lookAtExposed),
		t.check("published on IPv4", func(s *state, _ context.Context) (outcome, error) { return s.published(false) }, checkOfState),
		t.check("published on IPv6", func(s *state, _ context.Context) (outcome, error) { return s.published(true) }, checkOfState),
	}, t.networkChecks(), []check{
		t.check("aliases", (*state).lookAtAliases),
		t.check("listeners", (*state).lookAtListeners, checkOfState),
	})
}

// checkOfState is the check without which others see nothing.
const checkOfState = "state"

func (Target) check(name string, look func(*state, context.Context) (outcome, error), needs ...string) check {
	return check{category: categoryTarget, name: name, needs: needs, look: look}
}

// networkChecks are one for each network.
func (t Target) networkChecks() []check {
	if t.Server.HostNetwork || t.Server.NoNetwork || len(t.Server.Networks) == 0 {
		return []check{t.check("network", (*state).lookAtNoNetworks)}
	}
	all := make([]check, 0, len(t.Server.Networks))
	for _, n := range t.Server.Networks[:min(len(t.Server.Networks), maxLines)] {
		all = append(all, t.check("network", func(*state, context.Context) (outcome, error) { return describeNetwork(n) }))
	}
	return all
}

// judged is a pass, unless one of the findings has one of these causes.
func (t Target) judged(causes []report.Cause, detail string) (outcome, error) {
	results := map[report.Severity]report.CheckResult{
		report.SeverityError:   report.CheckFailure,
		report.SeverityWarning: report.CheckWarning,
	}
	for _, f := range t.Findings {
		cause := report.Cause(f.Cause)
		if result, bad := results[f.Severity]; bad && slices.Contains(causes, cause) {
			return outcome{result: result, detail: detail, fault: &report.Fault{Cause: cause}}, nil
		}
	}
	return pass("%s", detail)
}

func (s *state) lookAtState(context.Context) (outcome, error) {
	t := s.target
	if t.Server.Down == nil {
		return pass("%s", t.state())
	}
	return outcome{result: report.CheckFailure, detail: t.state(), fault: t.Server.Down}, nil
}

// state is what the engine says of the container, and which one it is.
func (t Target) state() string {
	words := t.Server.Name
	if config := t.Container.Config; config != nil && config.Labels[target.LabelService] != "" {
		words += fmt.Sprintf(", service %s of project %s", config.Labels[target.LabelService], config.Labels[target.LabelProject])
	}
	if t.NetworkOf != "" {
		words += ", in the network of " + t.NetworkOf
	}
	base := t.Container.ContainerJSONBase
	if base == nil || base.State == nil {
		return words
	}
	state := base.State.Status
	if health := base.State.Health; health != nil && health.Status != "" && health.Status != container.NoHealthcheck {
		state += ", " + health.Status // Podman has an empty one for none
	}
	if base.RestartCount > 0 {
		state += fmt.Sprintf(", restarted %d times", base.RestartCount)
	}
	return state + ": " + words
}

func (s *state) lookAtExposed(context.Context) (outcome, error) {
	config := s.target.Container.Config
	if config == nil || len(config.ExposedPorts) == 0 {
		return pass("none")
	}
	return pass("%s", strings.Join(some(portNames(slices.Collect(maps.Keys(config.ExposedPorts)))), ", "))
}

func portNames(ports []nat.Port) []string {
	nat.Sort(ports, func(a, b nat.Port) bool { return a.Int() < b.Int() || a.Int() == b.Int() && a < b })
	names := make([]string, len(ports))
	for i, port := range ports {
		names[i] = string(port)
	}
	return names
}

// published tells where ports are published at addresses of a family.
func (s *state) published(ipv6 bool) (outcome, error) {
	t := s.target
	switch {
	case t.Server.HostNetwork:
		return skip("it shares the network of the engine's host, which publishes nothing")
	case t.Container.NetworkSettings == nil:
		return undecided("the engine does not say")
	}
	ports := t.Container.NetworkSettings.Ports
	var words []string
	for _, name := range portNames(slices.Collect(maps.Keys(ports))) {
		for _, b := range ports[nat.Port(name)] {
			if b.HostPort != "" && strings.Contains(b.HostIP, ":") == ipv6 {
				words = append(words, binding(b)+" for "+name)
			}
		}
	}
	causes := []report.Cause{diagnosis.PortNotPublished, diagnosis.PublishedOnLoopback, diagnosis.PublishedFamilyMismatch}
	if len(words) == 0 {
		return t.judged(causes, "none")
	}
	return t.judged(causes[1:], strings.Join(some(words), ", "))
}

// binding is where a port is published. Podman names no address and means every
// one of IPv4's.
func binding(b nat.PortBinding) string {
	host := b.HostIP
	if host == "" {
		host = "0.0.0.0"
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + b.HostPort
}

func (s *state) lookAtNoNetworks(context.Context) (outcome, error) {
	t := s.target
	switch {
	case t.Server.NoNetwork:
		return t.judged([]report.Cause{diagnosis.NetworkNone}, "none: loopback alone")
	case t.Server.HostNetwork:
		return pass("that of the engine's host")
	default:
		return pass("none of its own")
	}
}

// describeNetwork tells of one network that a container is on.
func describeNetwork(n facts.Network) (outcome, error) {
	words := []string{n.Name + ": " + cmp.Or(n.Driver, "of an unknown driver")}
	if n.Internal {
		words = append(words, "internal")
	}
	if n.ICCDisabled {
		words = append(words, "containers kept apart")
	}
	addresses := valid(n.IPv4, n.IPv6)
	if len(addresses) == 0 {
		addresses = []string{"no address"}
	}
	words = append(words, addresses...)
	if gateways := valid(n.GatewayIPv4, n.GatewayIPv6); len(gateways) > 0 {
		words = append(words, "gateway "+strings.Join(gateways, " and "))
	}
	return pass("%s", strings.Join(words, ", "))
}

func valid(addresses ...netip.Addr) []string {
	var found []string
	for _, a := range addresses {
		if a.IsValid() {
			found = append(found, a.String())
		}
	}
	return found
}

// lookAtAliases tells what other containers may call this one.
func (s *state) lookAtAliases(context.Context) (outcome, error) {
	settings := s.target.Container.NetworkSettings
	if settings == nil {
		return undecided("the engine does not say")
	}
	var words []string
	for _, name := range slices.Sorted(maps.Keys(settings.Networks)) {
		endpoint := settings.Networks[name]
		if endpoint == nil || len(endpoint.Aliases) == 0 {
			continue
		}
		aliases := slices.Clone(endpoint.Aliases)
		slices.Sort(aliases)
		words = append(words, strings.Join(some(slices.Compact(aliases)), ", ")+" on "+name)
	}
	if len(words) == 0 {
		return pass("none")
	}
	if others := s.target.Replicas; len(others) > 0 {
		words = append(words, "not asked by its service's name, which is that of "+strings.Join(some(others), ", ")+" too")
	}
	return pass("%s", strings.Join(some(words), "; "))
}

// lookAtListeners tells what listens in the target's network namespace.
func (s *state) lookAtListeners(context.Context) (outcome, error) {
	t := s.target
	switch {
	case t.ListenersError != "":
		return undecided("%s", t.ListenersError)
	case t.Server.Listeners == nil:
		return skip("%s", t.unasked())
	}
	var words []string
	for _, socket := range t.Server.Listeners.Sockets {
		if socket.Address.Port() == t.Server.Port {
			words = append(words, socket.Address.String())
		}
	}
	if len(words) == 0 {
		words = []string{fmt.Sprintf("none on port %d", t.Server.Port)}
	}
	for _, socket := range t.Server.Listeners.Sockets {
		if socket.Address.Port() != t.Server.Port && !t.Server.HostNetwork { // the host's others are nobody's business
			words = append(words, socket.Address.String())
		}
	}
	if t.Server.Listeners.Truncated {
		words = append(words, "and more")
	}
	return t.judged([]report.Cause{
		diagnosis.ServerNotReady, diagnosis.ServerListensElsewhere, diagnosis.ServerListensOnLoopback,
		diagnosis.ForwarderAcceptsAlone, diagnosis.HostListensOnLoopback,
	}, strings.Join(some(words), ", "))
}

// unasked is why nobody has looked at what listens, which takes a helper.
func (t Target) unasked() string {
	switch {
	case len(t.Probes) == 0:
		return "not looked at, since no address was tried"
	case slices.ContainsFunc(t.Probes, func(p report.Probe) bool { return p.OK }):
		return "not looked at, since the server answers"
	default:
		return "not looked at, since no packet came as far"
	}
}

func (s *state) lookAtHostAddresses(context.Context) (outcome, error) {
	addresses := valid(s.target.Addresses...)
	switch {
	case s.target.EngineHost != "":
		return pass("%s, the endpoint's host", s.target.EngineHost)
	case len(addresses) == 0:
		return pass("none is known")
	default:
		return pass("%s, of this machine", strings.Join(addresses, ", "))
	}
}

// lookAtGateways tells which gateways, the engine's own addresses, containers have.
func (s *state) lookAtGateways(context.Context) (outcome, error) {
	var words []string
	for _, n := range s.target.Networks {
		for _, gateway := range valid(n.GatewayIPv4, n.GatewayIPv6) {
			words = append(words, gateway+" of network "+n.Name)
		}
	}
	slices.Sort(words)
	if words = slices.Compact(words); len(words) == 0 {
		return pass("none where it was asked from")
	}
	return pass("%s", strings.Join(some(words), ", "))
}

// lookAtHostAliases tells which names for the host resolve, from where.
func (s *state) lookAtHostAliases(context.Context) (outcome, error) {
	var words []string
	asked := 0
	for _, p := range s.target.Probes {
		if p.Kind != report.KindHostAlias {
			continue
		}
		asked++
		if netprobe.Phase(p.Phase) != netprobe.PhaseResolve || p.OK {
			name, _, _ := strings.Cut(p.Address, ":")
			words = append(words, name+" from "+p.Vantage)
		}
	}
	switch {
	case asked == 0:
		return skip("no container was asked")
	case len(words) == 0:
		return pass("none of the names that engines give to hosts is known")
	default:
		return pass("%s", strings.Join(some(words), ", "))
	}
}
