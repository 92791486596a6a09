package checks

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/go-connections/nat"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/target"
	"github.com/nestprobe/docker-nestprobe/plugin/target/meaning"
)

const categoryTarget = "target"

// TargetInput is a target of diagnose, with the probes and findings of its diagnosis.
type TargetInput struct {
	target.Facts

	Probes   []report.Probe
	Findings []report.Finding
}

// DescribeTarget shows what is known of a target, one check a line. It finds no
// causes: a check fails if one of the findings is about it.
func DescribeTarget(ctx context.Context, target TargetInput) []report.Check {
	s := &state{target: target}
	tasks := s.runChecks(ctx, category(categoryTarget, target.checks()))
	checks := make([]report.Check, 0, len(tasks))
	for _, t := range tasks {
		checks = append(checks, t.report(""))
	}
	return checks
}

func (t TargetInput) checks() []check {
	return slices.Concat(t.wordChecks(), t.serverChecks())
}

// wordChecks says what the user's words were taken for, where that is not plain.
func (t TargetInput) wordChecks() []check {
	var words []check
	if t.Meaning != "" {
		words = append(words, check{name: "target", run: func(*state, context.Context) (checkResult, error) { return pass("%s", t.Meaning) }})
	}
	if t.FromContainer {
		words = append(words, check{name: "from host", run: func(*state, context.Context) (checkResult, error) {
			return pass("this container; with --network host it is the engine's host")
		}})
	}
	return words
}

func (t TargetInput) serverChecks() []check {
	switch {
	case t.Server.Host:
		return []check{
			{name: "addresses", run: (*state).checkHostAddresses},
			{name: "gateways", run: (*state).checkHostGateways},
			{name: "aliases", run: (*state).checkHostAliases},
			{name: diagnosis.ListenersCheck, run: (*state).checkListeners},
		}
	case t.Container == nil:
		return nil
	}
	return slices.Concat([]check{
		{name: "state", run: (*state).checkState},
		{name: "exposed", run: (*state).checkExposedPorts},
		{name: "published on IPv4", dependsOn: []string{"state"}, run: func(s *state, _ context.Context) (checkResult, error) { return s.checkPublishedPorts(false) }},
		{name: "published on IPv6", dependsOn: []string{"state"}, run: func(s *state, _ context.Context) (checkResult, error) { return s.checkPublishedPorts(true) }},
	}, t.networkChecks(), []check{
		{name: "aliases", run: (*state).checkAliases},
		{name: diagnosis.ListenersCheck, dependsOn: []string{"state"}, run: (*state).checkListeners},
	})
}

// networkChecks returns a check for each network.
func (t TargetInput) networkChecks() []check {
	if t.Server.HostNetwork || t.Server.NoNetwork || len(t.Server.Networks) == 0 {
		return []check{{name: "network", run: (*state).checkNoNetwork}}
	}
	all := make([]check, 0, len(t.Server.Networks))
	for _, n := range t.Server.Networks[:min(len(t.Server.Networks), maxLines)] {
		all = append(all, check{name: "network", run: func(*state, context.Context) (checkResult, error) { return checkNetwork(n) }})
	}
	return all
}

// resultOf is a pass, unless a finding has one of these causes.
func (t TargetInput) resultOf(causes []report.Cause, detail string) (checkResult, error) {
	statuses := map[report.Severity]report.CheckResult{
		report.SeverityError:   report.CheckFailure,
		report.SeverityWarning: report.CheckWarning,
	}
	for _, f := range t.Findings {
		if status, bad := statuses[f.Severity]; bad && slices.Contains(causes, f.Cause) {
			return checkResult{status: status, detail: detail, fault: &report.Fault{Cause: f.Cause}}, nil
		}
	}
	return pass("%s", detail)
}

func (s *state) checkState(context.Context) (checkResult, error) {
	t := s.target
	if t.Server.Down == nil {
		return pass("%s", t.describeContainer())
	}
	return checkResult{status: report.CheckFailure, detail: t.describeContainer(), fault: t.Server.Down}, nil
}

// describeContainer returns the state, the name, the Compose service and the network
// of the container.
func (t TargetInput) describeContainer() string {
	words := t.Server.Name
	if config := t.Container.Config; config != nil && config.Labels[meaning.LabelService] != "" {
		words += fmt.Sprintf(", service %s of project %s", config.Labels[meaning.LabelService], config.Labels[meaning.LabelProject])
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
		state += ", " + health.Status // Podman: empty without a health check
	}
	if base.RestartCount > 0 {
		state += ", restarted " + engine.Plural(base.RestartCount, "time")
	}
	if log := engine.HealthLog(base.State); log != "" {
		words += "; " + log
	}
	return state + ": " + words
}

func (s *state) checkExposedPorts(context.Context) (checkResult, error) {
	config := s.target.Container.Config
	if config == nil || len(config.ExposedPorts) == 0 {
		return pass("none")
	}
	return pass("%s", strings.Join(firstLines(sortPorts(slices.Collect(maps.Keys(config.ExposedPorts)))), ", "))
}

func sortPorts(ports []nat.Port) []string {
	nat.Sort(ports, func(a, b nat.Port) bool { return a.Int() < b.Int() || a.Int() == b.Int() && a < b })
	names := make([]string, len(ports))
	for i, port := range ports {
		names[i] = string(port)
	}
	return names
}

// checkPublishedPorts shows the bindings of one address family.
func (s *state) checkPublishedPorts(ipv6 bool) (checkResult, error) {
	t := s.target
	switch {
	case t.Server.HostNetwork:
		return skip("it shares the network of the engine's host, so no port is published")
	case t.Container.NetworkSettings == nil:
		return inconclusive("the engine does not report it")
	}
	ports := t.Container.NetworkSettings.Ports
	var words []string
	for _, name := range sortPorts(slices.Collect(maps.Keys(ports))) {
		for _, b := range ports[nat.Port(name)] {
			if b.HostPort != "" && strings.Contains(b.HostIP, ":") == ipv6 {
				host := cmp.Or(b.HostIP, "0.0.0.0") // Podman leaves it empty for all IPv4 addresses
				words = append(words, net.JoinHostPort(host, b.HostPort)+" for "+name)
			}
		}
	}
	causes := []report.Cause{diagnosis.PortNotPublished, diagnosis.PublishedOnLoopback, diagnosis.PublishedFamilyMismatch}
	if len(words) == 0 {
		return t.resultOf(causes, "none")
	}
	return t.resultOf(causes[1:], strings.Join(firstLines(words), ", "))
}

func (s *state) checkNoNetwork(context.Context) (checkResult, error) {
	t := s.target
	switch {
	case t.Server.NoNetwork:
		return t.resultOf([]report.Cause{diagnosis.NetworkNone}, "none: only loopback")
	case t.Server.HostNetwork:
		return pass("the network of the engine's host")
	default:
		return pass("none")
	}
}

// checkNetwork shows one network of a container.
func checkNetwork(n facts.Network) (checkResult, error) {
	words := []string{n.Name + ": " + cmp.Or(n.Driver, "unknown driver")}
	if n.Internal {
		words = append(words, "internal")
	}
	if n.ICCDisabled {
		words = append(words, "inter-container communication disabled")
	}
	addresses := validAddresses(n.IPv4, n.IPv6)
	if len(addresses) == 0 {
		addresses = []string{"no address"}
	}
	words = append(words, addresses...)
	if gateways := validAddresses(n.GatewayIPv4, n.GatewayIPv6); len(gateways) > 0 {
		words = append(words, "gateway "+strings.Join(gateways, " and "))
	}
	return pass("%s", strings.Join(words, ", "))
}

func validAddresses(addresses ...netip.Addr) []string {
	var found []string
	for _, a := range addresses {
		if a.IsValid() {
			found = append(found, a.String())
		}
	}
	return found
}

// checkAliases shows the names that other containers can use.
func (s *state) checkAliases(context.Context) (checkResult, error) {
	settings := s.target.Container.NetworkSettings
	if settings == nil {
		return inconclusive("the engine does not report it")
	}
	var words []string
	for _, name := range slices.Sorted(maps.Keys(settings.Networks)) {
		endpoint := settings.Networks[name]
		if endpoint == nil || len(endpoint.Aliases) == 0 {
			continue
		}
		aliases := slices.Compact(slices.Sorted(slices.Values(endpoint.Aliases)))
		words = append(words, strings.Join(firstLines(aliases), ", ")+" on "+name)
	}
	if len(words) == 0 {
		return pass("none")
	}
	if others := s.target.Replicas; len(others) > 0 {
		words = append(words, "not probed by its service name, which is also that of "+strings.Join(firstLines(others), ", "))
	}
	return pass("%s", strings.Join(firstLines(words), "; "))
}

// checkListeners shows the listening sockets in the target's network namespace.
func (s *state) checkListeners(context.Context) (checkResult, error) {
	t := s.target
	switch {
	case t.ListenersError != "":
		return inconclusive("%s", t.ListenersError)
	case t.Server.Listeners == nil:
		return skip("%s", t.noListenersReason())
	}
	var words, others []string
	for _, socket := range t.Server.Listeners.Sockets {
		switch {
		case socket.Address.Port() == t.Server.Port:
			words = append(words, socket.Address.String())
		case !t.Server.HostNetwork: // other servers on the host are private
			others = append(others, socket.Address.String())
		}
	}
	if len(words) == 0 {
		words = []string{fmt.Sprintf("none on port %d", t.Server.Port)}
		if to := t.Server.RedirectedTo; to != 0 {
			words[0] += fmt.Sprintf(" (a rule in the container redirects it to %d)", to)
		}
	}
	words = append(words, others...)
	if t.Server.Listeners.Truncated {
		words = append(words, "and more")
	}
	return t.resultOf(diagnosis.ShownBy(diagnosis.ListenersCheck), strings.Join(firstLines(words), ", "))
}

// noListenersReason is why no helper listed the listening sockets.
func (t TargetInput) noListenersReason() string {
	switch {
	case len(t.Probes) == 0:
		return "not looked at, since no address was tried"
	case slices.ContainsFunc(t.Probes, func(p report.Probe) bool { return p.OK }):
		return "not looked at, since the server answers"
	default:
		return "not looked at, since no packet reached the server"
	}
}

func (s *state) checkHostAddresses(context.Context) (checkResult, error) {
	addresses := validAddresses(s.target.Addresses...)
	switch {
	case s.target.EngineHost != "":
		return pass("%s, the endpoint's host", s.target.EngineHost)
	case len(addresses) == 0:
		return pass("none known")
	default:
		return pass("%s, of this machine", strings.Join(addresses, ", "))
	}
}

// checkHostGateways shows the gateways of containers, which are addresses of the
// engine's host.
func (s *state) checkHostGateways(context.Context) (checkResult, error) {
	var words []string
	for _, n := range s.target.Networks {
		for _, gateway := range validAddresses(n.GatewayIPv4, n.GatewayIPv6) {
			words = append(words, gateway+" of network "+n.Name)
		}
	}
	slices.Sort(words)
	if words = slices.Compact(words); len(words) == 0 {
		return pass("no gateway on the networks of the client containers")
	}
	return pass("%s", strings.Join(firstLines(words), ", "))
}

// checkHostAliases shows which names of the host resolve, and from where.
func (s *state) checkHostAliases(context.Context) (checkResult, error) {
	var words []string
	probed := 0
	for _, p := range s.target.Probes {
		if p.Kind != report.KindHostAlias {
			continue
		}
		probed++
		if p.Phase != netprobe.PhaseResolve || p.OK {
			name, _, _ := strings.Cut(p.Address, ":")
			words = append(words, name+" from "+p.Vantage)
		}
	}
	switch {
	case probed == 0:
		return skip("it was not probed from a container")
	case len(words) == 0:
		return pass("none of the usual names of the host resolves")
	default:
		return pass("%s", strings.Join(firstLines(words), ", "))
	}
}
