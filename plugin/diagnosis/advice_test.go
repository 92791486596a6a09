package diagnosis

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// --add-host gets an address that the engine takes and that leads to its host.
func TestHostAddress(t *testing.T) {
	gateway := evidence.Row{Probe: report.Probe{Kind: report.KindPublishedGateway, OK: true}, To: evidence.ParseAddress("172.17.0.1:8080"), Index: 0}
	container := evidence.Row{Probe: report.Probe{Kind: report.KindContainerIP, OK: true}, To: evidence.ParseAddress("172.17.0.2:8080"), Index: 1}
	host := evidence.Row{Probe: report.Probe{Kind: report.KindHostAddress, OK: true}, To: evidence.ParseAddress("192.0.2.10:8080"), Index: 2}
	for name, test := range map[string]struct {
		engine facts.Engine
		rows   []evidence.Row
		want   string
	}{
		"Docker Engine":               {facts.Engine{Major: 20}, []evidence.Row{gateway}, "host-gateway"},
		"an old engine, as Toolbox's": {facts.Engine{Major: 19}, []evidence.Row{container, gateway}, "172.17.0.1"},
		"Podman":                      {facts.Engine{Podman: true}, []evidence.Row{gateway}, "172.17.0.1"},
		"rootless":                    {facts.Engine{Major: 28, Rootless: true}, []evidence.Row{container, host}, "192.0.2.10"},
		"rootless, nothing reached":   {facts.Engine{Major: 28, Rootless: true}, []evidence.Row{container}, "ADDRESS"},
	} {
		c := &vantageCase{Case: evidence.Case{Engine: test.engine, Rows: test.rows}}
		assert.Check(t, c.hostAddress() == test.want, "%s: %s", name, c.hostAddress())
	}
}

// A command opens no more than it must.
func TestPublishPrivately(t *testing.T) {
	for want, engine := range map[string]facts.Engine{
		"127.0.0.1::8080": {Major: 28, Desktop: true},
		"8080":            {Major: 28, Host: "192.0.2.10"},
	} {
		c := &vantageCase{Case: evidence.Case{Engine: engine}}
		assert.Equal(t, c.publishPrivately(8080), want)
	}
	c := &vantageCase{Case: evidence.Case{Engine: facts.Engine{Major: 28}, Vantage: facts.Vantage{Container: true}}}
	assert.Equal(t, c.publishPrivately(8080), "8080")
}

// A server that the run has started is gone when its hint is read.
func TestLastingHosts(t *testing.T) {
	n := facts.Network{Name: "own", IPv4: netip.MustParseAddr("172.18.0.2"), Subnets: []netip.Prefix{netip.MustParsePrefix("172.18.0.0/16"), netip.MustParsePrefix("fd00::/64")}}
	c := &vantageCase{Case: evidence.Case{Server: facts.Server{Networks: []facts.Network{n}}}}
	hosts := []string{"web", "db", "172.18.0.2", "192.0.2.7"}
	assert.DeepEqual(t, c.lastingHosts(hosts), hosts)
	c.Server.StartedByUs = true
	assert.DeepEqual(t, c.lastingHosts(hosts), []string{"NAME", "172.18.0.0/16,fd00::/64", "192.0.2.7"})
}

// A port that is published on loopback is published on the address that was tried.
func TestReachable(t *testing.T) {
	for _, test := range []struct {
		engine  facts.Engine
		address string
		want    string
	}{
		{facts.Engine{Major: 28}, "172.17.0.1:8080", "172.17.0.1:8080:80"},
		{facts.Engine{Major: 28}, "[fd00::1]:8080", "[fd00::1]:8080:80"},
		{facts.Engine{Major: 28}, "host.docker.internal:8080", "8080:80"},
		{facts.Engine{Major: 28, Host: "192.0.2.10"}, "127.0.0.1:8080", "8080:80"},
		{facts.Engine{Major: 28, Rootless: true}, "172.17.0.1:8080", "8080:80"},
	} {
		c := &vantageCase{Case: evidence.Case{Engine: test.engine}}
		assert.Equal(t, c.reachable(evidence.Row{To: evidence.ParseAddress(test.address)}).Publish(80), test.want)
	}
}

// The command that publishes another port leaves a port on loopback there.
func TestPublishKeepsTheAddress(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:8080": "127.0.0.1:8080:3000",
		"0.0.0.0:8080":   "8080:3000",
		"[::]:8080":      "8080:3000",
		"[::1]:8080":     "[::1]:8080:3000",
	} {
		at := netip.MustParseAddrPort(address)
		assert.Equal(t, facts.Binding{HostIP: at.Addr(), HostPort: at.Port()}.Publish(3000), want)
	}
}

// The commands for a new network connect both, and name only containers that still exist.
func TestNewNetworkCommands(t *testing.T) {
	const create, connect = "docker network create NETWORK", "docker network connect NETWORK "
	web, ours := facts.Server{Name: "web"}, facts.Server{Name: "nestprobe-1", StartedByUs: true}
	client := facts.Vantage{Name: "container:client", Container: true}
	for name, test := range map[string]struct {
		server  facts.Server
		vantage facts.Vantage
		want    []string
	}{
		"container":           {web, client, []string{create, connect + "web", connect + "client"}},
		"helper on a network": {web, facts.Vantage{Name: "network:shop", Container: true}, []string{create, connect + "web", connect + "CONTAINER"}},
		"this machine":        {web, facts.Vantage{Name: "host"}, []string{create, connect + "web"}},
		"on the host":         {web, facts.Vantage{Name: "container:client", Container: true, OnHost: true}, []string{create, connect + "web"}},
		"server of a run":     {ours, facts.Vantage{Name: "client", Container: true}, []string{create, connect + "CONTAINER"}},
	} {
		c := &vantageCase{Case: evidence.Case{Server: test.server, Vantage: test.vantage}}
		assert.Check(t, slices.Equal(c.newNetworkCommands(), test.want), "%s: %q", name, c.newNetworkCommands())
	}
}

// A name from an engine is one word of a command, or the command is left out.
func TestCommandsWithHostileNames(t *testing.T) {
	for name, want := range map[string]string{
		"web":       "web",
		"$(reboot)": "'$(reboot)'",
		"a; reboot": "'a; reboot'",
		"-f":        "",
		"a\nreboot": "",
		"\x1b[2J":   "",
	} {
		server := facts.Server{Name: name, Port: 80, Networks: []facts.Network{{Name: name}}}
		c := &vantageCase{Case: evidence.Case{Server: server, Vantage: facts.Vantage{Name: "container:" + name, Container: true}}}
		for format, commands := range map[string][]string{
			"docker logs %s":                    {commandFor(server, "docker logs")},
			"docker network connect %s %s":      c.connectCommands(server.Networks[0]),
			"docker network connect NET %s":     {networkCommand(server, "NET")},
			"docker nestprobe diagnose %s":      command("docker nestprobe diagnose %s", name),
			"docker network disconnect x %s":    command("docker network disconnect %s %s", "x", name),
			"docker network create %s":          Detached("web", name, true).Commands[:1],
			"docker network disconnect none %s": c.leaveNone(because(""), name, true).Commands[:1],
		} {
			wanted := strings.ReplaceAll(format, "%s", want)
			if want == "" {
				wanted = ""
			}
			assert.Equal(t, commands[0], wanted, "%q", name)
		}
	}
}
