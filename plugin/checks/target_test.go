package checks

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"unicode"

	"github.com/docker/docker/api/types/container"
	dockernetwork "github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/target"
	"github.com/nestprobe/docker-nestprobe/plugin/target/meaning"
)

// web returns a server that answers.
func web() TargetInput {
	target := TargetInput{
		Facts: target.Facts{
			Server: facts.Server{
				Name: "shop-web-1", Port: 8080,
				Networks: []facts.Network{{
					Name: "shop", Driver: "bridge", Internal: true,
					IPv4: netip.MustParseAddr("172.20.0.2"), IPv6: netip.MustParseAddr("fd00::2"), GatewayIPv4: netip.MustParseAddr("172.20.0.1"),
				}, {Name: "gone"}},
			},
			Container: &container.InspectResponse{
				ContainerJSONBase: &container.ContainerJSONBase{
					State:        &container.State{Status: "running", Health: &container.Health{Status: container.Unhealthy}},
					RestartCount: 2,
				},
				Config: &container.Config{
					ExposedPorts: nat.PortSet{"9090/tcp": {}, "53/udp": {}, "8080/tcp": {}, "53/tcp": {}},
					Labels:       map[string]string{meaning.LabelService: "web", meaning.LabelProject: "shop"},
				},
				NetworkSettings: &container.NetworkSettings{
					Networks: map[string]*dockernetwork.EndpointSettings{"shop": {Aliases: []string{"web", "abc", "web"}}, "gone": nil},
				},
			},
		},
		Probes: []report.Probe{{OK: true}},
	}
	target.Container.NetworkSettings.Ports = nat.PortMap{
		"8080/tcp": {{HostIP: "0.0.0.0", HostPort: "32768"}, {HostIP: "::", HostPort: "32769"}},
		"53/udp":   {{HostIP: "", HostPort: "5353"}}, // Podman's
		"9090/tcp": nil,
	}
	return target
}

func TestDescribeTarget(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*TargetInput)
		want   string
	}{
		"healthy": {func(*TargetInput) {}, `
pass state: running, unhealthy, restarted 2 times: shop-web-1, service web of project shop
pass exposed: 53/tcp, 53/udp, 8080/tcp, 9090/tcp
pass published on IPv4: 0.0.0.0:5353 for 53/udp, 0.0.0.0:32768 for 8080/tcp
pass published on IPv6: [::]:32769 for 8080/tcp
pass network: shop: bridge, internal, 172.20.0.2, fd00::2, gateway 172.20.0.1
pass network: gone: unknown driver, no address
pass aliases: abc, web on shop
skipped listeners: not looked at, since the server answers`},
		"not healthy": {func(target *TargetInput) {
			target.Meaning = "localhost:32768 is port 8080 of container shop-web-1, which publishes it"
			target.FromContainer = true
			target.Container.RestartCount = 1
			target.Container.State.Health.FailingStreak = 3
			target.Container.State.Health.Log = []*container.HealthcheckResult{{ExitCode: 0}, {ExitCode: 7, Output: "connecting\nrefused\x1b\n"}}
		}, `
pass target: localhost:32768 is port 8080 of container shop-web-1, which publishes it
pass from host: this container; with --network host it is the engine's host
pass state: running, unhealthy, restarted 1 time: shop-web-1, service web of project shop; the health check says unhealthy: it failed 3 times in a row, the last time with exit code 7: refused\x1b`},
		"listens on loopback": {func(target *TargetInput) {
			target.Probes = nil
			target.Server.Listeners = sockets("127.0.0.1:8080", "[::]:9090")
			target.Findings = []report.Finding{{Cause: diagnosis.ServerListensOnLoopback, Severity: report.SeverityError}}
		}, `
failure listeners: 127.0.0.1:8080, [::]:9090 (server-listens-on-loopback)`},
		"no address works": {func(target *TargetInput) {
			target.Probes = []report.Probe{{}}
			target.Findings = []report.Finding{{Cause: diagnosis.PortNotPublished, Severity: report.SeverityError}}
			target.Container.NetworkSettings.Ports = nil
			target.NetworkOf = "pod"
		}, `
pass state: running, unhealthy, restarted 2 times: shop-web-1, service web of project shop, in the network of pod
failure published on IPv4: none (port-not-published)
failure published on IPv6: none (port-not-published)
skipped listeners: not looked at, since no packet reached the server`},
		"an info finding": {func(target *TargetInput) {
			target.Findings = []report.Finding{{Cause: diagnosis.PublishedFamilyMismatch, Severity: report.SeverityInfo}}
		}, `
pass published on IPv6: [::]:32769 for 8080/tcp`},
		"one of two replicas": {func(target *TargetInput) { target.Replicas = []string{"shop-web-2"} }, `
pass aliases: abc, web on shop; not probed by its service name, which is also that of shop-web-2`},
		"unknown listeners": {func(target *TargetInput) { target.ListenersError = "no such image" }, `
inconclusive listeners: no such image`},
		"exited": {func(target *TargetInput) {
			target.Container.State.Status, target.Container.State.Health = "exited", nil
			target.Server.Down = &report.Fault{Cause: diagnosis.ServerExited}
		}, `
failure state: exited, restarted 2 times: shop-web-1, service web of project shop (server-exited)
pass exposed: 53/tcp, 53/udp, 8080/tcp, 9090/tcp
skipped published on IPv4: since the check "state" failed
skipped published on IPv6: since the check "state" failed
skipped listeners: since the check "state" failed`},
		"on the host's network": {func(target *TargetInput) {
			target.Server.HostNetwork = true
			target.Server.Listeners = sockets("0.0.0.0:22", "0.0.0.0:8080")
		}, `
skipped published on IPv4: it shares the network of the engine's host, so no port is published
pass network: the network of the engine's host
pass listeners: 0.0.0.0:8080`},
		"network none": {func(target *TargetInput) {
			target.Server.NoNetwork = true
			target.Findings = []report.Finding{{Cause: diagnosis.NetworkNone, Severity: report.SeverityError}}
		}, `
failure network: none: only loopback (network-none)`},
		"an empty inspect answer": {func(target *TargetInput) { target.Container = &container.InspectResponse{} }, `
pass state: shop-web-1
pass exposed: none
inconclusive published on IPv4: the engine does not report it
inconclusive aliases: the engine does not report it`},
		"control characters": {func(target *TargetInput) {
			target.Server.Networks[0].Name = "\x1b[2J"
			target.Container.NetworkSettings.Networks["shop"].Aliases = []string{"we\x1b[2Jb", strings.Repeat("x", 1<<20)}
			target.Container.NetworkSettings.Ports["-1/\x1b"] = []nat.PortBinding{{HostIP: "\x1b", HostPort: "\x1b"}}
			target.Container.Config.ExposedPorts = nat.PortSet{"\x1b": {}}
		}, `
pass exposed: \x1b
pass published on IPv4: \x1b:\x1b for -1/\x1b, 0.0.0.0:5353 for 53/udp, 0.0.0.0:32768 for 8080/tcp
pass network: \x1b[2J: bridge, internal, 172.20.0.2, fd00::2, gateway 172.20.0.1`},
		"no container": {func(target *TargetInput) { target.Container = nil }, ""},
		"the engine's host": {func(target *TargetInput) {
			target.Server = facts.Server{Host: true, HostNetwork: true, Port: 3000, Listeners: sockets("127.0.0.1:3000")}
			target.Addresses = []netip.Addr{netip.MustParseAddr("192.0.2.7")}
			target.Networks = []facts.Network{
				{Name: "bridge", GatewayIPv4: netip.MustParseAddr("172.17.0.1")},
				{Name: "bridge", GatewayIPv4: netip.MustParseAddr("172.17.0.1")},
			}
			target.Probes = []report.Probe{
				{Kind: report.KindHostAlias, Vantage: "network:bridge", Address: "host.docker.internal:3000", Phase: "connect"},
				{Kind: report.KindHostAlias, Vantage: "network:bridge", Address: "host.lima.internal:3000", Phase: "resolve"},
			}
			target.Findings = []report.Finding{{Cause: diagnosis.HostListensOnLoopback, Severity: report.SeverityError}}
		}, `
pass addresses: 192.0.2.7, of this machine
pass gateways: 172.17.0.1 of network bridge
pass aliases: host.docker.internal from network:bridge
failure listeners: 127.0.0.1:3000 (host-listens-on-loopback)`},
		"a remote host": {func(target *TargetInput) {
			target.Server, target.EngineHost, target.Probes = facts.Server{Host: true}, "192.0.2.9", nil
		}, `
pass addresses: 192.0.2.9, the endpoint's host
pass gateways: no gateway on the networks of the client containers
skipped aliases: it was not probed from a container
skipped listeners: not looked at, since no address was tried`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := web()
			test.change(&target)
			var lines []string
			for _, c := range DescribeTarget(t.Context(), target) {
				assert.Check(t, c.Category == categoryTarget && len(c.Detail) < 4<<10)
				line := fmt.Sprintf("%s %s: %s", c.Result, c.Name, c.Detail)
				if c.Cause != "" {
					line += " (" + string(c.Cause) + ")"
				}
				assert.Check(t, !strings.Contains(line, "\x1b"), "%q", line)
				lines = append(lines, line)
			}
			got := "\n" + strings.Join(lines, "\n") + "\n"
			for want := range strings.Lines(strings.TrimPrefix(test.want, "\n")) {
				want = strings.ReplaceAll(strings.TrimRight(want, "\n"), "\x1b", `\x1b`)
				assert.Check(t, strings.Contains(got, "\n"+want+"\n"), "%s\nin\n%s", want, got)
			}
			assert.Check(t, test.want != "" || len(lines) == 0, got)
		})
	}
}

// sockets returns listening sockets.
func sockets(addresses ...string) *listening.Listeners {
	l := &listening.Listeners{}
	for _, a := range addresses {
		l.Sockets = append(l.Sockets, listening.Socket{Address: netip.MustParseAddrPort(a)})
	}
	return l
}

// Whatever the engine reports of a container, no check crashes, and each detail is
// printable.
func FuzzDescribeTarget(f *testing.F) {
	for _, seed := range []string{
		`{}`,
		`{"State":{"Status":"running","Health":{"Status":"healthy"}},"Config":{"ExposedPorts":{"80/tcp":{}},"Labels":{"com.docker.compose.service":"web"}},"NetworkSettings":{"Ports":{"80/tcp":[{"HostIp":"::","HostPort":"1"}]},"Networks":{"a":{"Aliases":["b"]},"c":null}}}`,
		`{"State":null,"Config":{"ExposedPorts":{"\u001b":{},"-1":{},"":{}}},"NetworkSettings":{"Ports":{"/":[{}],"x/y/z":null}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var found container.InspectResponse
		if json.Unmarshal(data, &found) != nil {
			return
		}
		for _, c := range DescribeTarget(t.Context(), TargetInput{Facts: target.Facts{Container: &found}}) {
			assert.Check(t, c.Result != report.CheckCrashed, "%s: %s", c.Name, c.Detail)
			assert.Check(t, !strings.ContainsFunc(c.Detail, func(r rune) bool { return !unicode.IsPrint(r) }), "%s: %q", c.Name, c.Detail)
		}
	})
}
