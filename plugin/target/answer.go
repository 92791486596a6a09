package target

import (
	"cmp"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"

	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/target/meaning"
)

// newReport returns a Report about a target that has not been looked at.
func newReport(target Target) *report.Report {
	rep := report.New("diagnose")
	rep.Target.Address = target.Address != "" || target.isExact()
	rep.Target.Name = cmp.Or(target.Container, target.Address, probing.VantageHost)
	return rep
}

// describe adds to the Report what the table shows of the target and the places.
func (r *run) describe() {
	t, server := &r.report.Target, r.known.Server
	if server.Port != 0 {
		t.Name = net.JoinHostPort(t.Name, strconv.Itoa(int(cmp.Or(r.typedPort(), server.Port))))
	}
	t.Meaning, t.OnHost = r.known.Meaning, server.HostNetwork
	t.Networks = describeNetworks(server.Networks)
	if c := r.known.Container; c != nil && c.ContainerJSONBase != nil && c.State != nil {
		t.State = c.State.Status
		if health := c.State.Health; c.State.Running && health != nil && health.Status != "" && health.Status != container.NoHealthcheck {
			t.State = health.Status
		}
	}
	if server.Listeners != nil {
		for _, ip := range server.Listeners.On(server.Port) {
			t.Listens = append(t.Listens, net.JoinHostPort(ip.String(), strconv.Itoa(int(server.Port))))
		}
	}
	for _, p := range r.places {
		t.Places = append(t.Places, r.describePlace(p))
	}
}

// typedPort is the port of an address that the user has typed; 0 if the server's port is
// what counts.
func (r *run) typedPort() uint16 {
	if r.report.Target.Name == r.target.Address {
		return r.typed.Port
	}
	return 0
}

func (r *run) describePlace(p *place) report.Place {
	described := report.Place{Vantage: p.vantage.Name, Name: p.vantage.Name, Typed: p.typed, OnHost: p.found.HostNetwork || !p.vantage.InContainer()}
	if name, ok := strings.CutPrefix(p.vantage.Name, probing.VantageNetwork); ok {
		described.Name = "network " + name
	}
	if name, ok := strings.CutPrefix(p.vantage.Name, probing.VantageContainer); ok {
		described.Name, described.Networks = name, describeNetworks(p.found.Networks)
		described.Apart = len(p.facts(r.found).SharedNetworks(r.known.Server)) == 0
	}
	return described
}

func describeNetworks(networks []facts.Network) []string {
	names := make([]string, len(networks))
	for i, n := range networks {
		names[i] = n.Name
		if n.Internal {
			names[i] += " (internal)"
		}
	}
	return names
}

// addFixes adds to findings what their commands are in a Compose file, and the address that
// works afterwards.
func (r *run) addFixes(findings []report.Finding) {
	for i := range findings {
		f := &findings[i]
		for _, command := range f.Commands {
			words := strings.Fields(command)
			f.Compose = append(f.Compose, r.inCompose(words)...)
			if len(words) == 5 && isConnect(words) && !r.known.Server.Host {
				f.Then = fmt.Sprintf("%s:%d", r.names()[0], r.known.Server.Port)
			}
		}
	}
}

// isConnect says whether a command is docker network connect NETWORK CONTAINER.
func isConnect(words []string) bool {
	return len(words) == 5 && slices.Equal(words[:3], []string{"docker", "network", "connect"})
}

// inCompose returns what a command is in a Compose file, if its container belongs to a
// Compose project.
func (r *run) inCompose(words []string) []string {
	lines := r.composeLines(words)
	if slices.ContainsFunc(lines, func(line string) bool { return !composeLine.MatchString(line) }) {
		return nil // YAML quotes such names in another way than shells
	}
	return lines
}

// composeLine matches a line that has no other YAML syntax in it than it should.
var composeLine = regexp.MustCompile(`^[\w.-]+: \{ [\w.-]+: (\[("[\w.:-]+"|[\w.-]+(, [\w.-]+)*)\]|\{ external: true \}) \}$`)

func (r *run) composeLines(words []string) []string {
	switch {
	case isConnect(words):
		return r.composeNetworks(words[3], words[4])
	case len(words) == 5 && slices.Equal(words[:3], []string{"docker", "run", "--publish"}):
		if service, _ := composeService(r.known.Container); service != "" {
			return []string{fmt.Sprintf(`%s: { ports: ["%s"] }`, service, words[3])}
		}
	case len(words) == 5 && slices.Equal(words[:3], []string{"docker", "run", "--add-host"}):
		for _, p := range r.places {
			if service, _ := composeService(&p.found.Inspection); service != "" {
				return []string{fmt.Sprintf(`%s: { extra_hosts: ["%s"] }`, service, words[3])}
			}
		}
	}
	return nil
}

// composeNetworks returns the networks of a service with one more.
func (r *run) composeNetworks(network, name string) []string {
	response, networks := r.inspected(name)
	service, project := composeService(response)
	if service == "" {
		return nil
	}
	keys := make([]string, 0, len(networks)+1)
	for _, n := range networks {
		keys = append(keys, networkKey(n.Name, project))
	}
	keys = append(keys, networkKey(network, project))
	lines := []string{fmt.Sprintf("%s: { networks: [%s] }", service, strings.Join(keys, ", "))}
	if networkKey(network, project) == network && network != "NETWORK" { // Compose has not made it
		lines = append(lines, fmt.Sprintf("networks: { %s: { external: true } }", network))
	}
	return lines
}

// inspected returns a container that this run has inspected, and its networks.
func (r *run) inspected(name string) (*container.InspectResponse, []facts.Network) {
	if name == r.known.Server.Name {
		return r.known.Container, r.known.Server.Networks
	}
	for _, p := range r.places {
		if p.vantage.Name == probing.VantageContainer+name {
			return &p.found.Inspection, p.found.Networks
		}
	}
	return nil, nil
}

// composeService returns the service and project of a container; empty if Compose has not
// created it.
func composeService(response *container.InspectResponse) (service, project string) {
	if response == nil || response.Config == nil {
		return "", ""
	}
	return response.Config.Labels[meaning.LabelService], response.Config.Labels[meaning.LabelProject]
}

// networkKey is what a Compose file calls a network: Compose puts the project before it.
func networkKey(name, project string) string { return strings.TrimPrefix(name, project+"_") }
