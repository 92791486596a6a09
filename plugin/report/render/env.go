package render

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/render/layout"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// writeEnv writes settings for other tools: only those that the Report proves, each
// below a comment with the probe that proves it. Both a shell's eval and env files
// can read the output.
func writeEnv(w io.Writer, rep *report.Report) error {
	var s settings
	if len(rep.Best) == 0 {
		s.explainEmpty(rep)
	} else {
		s.baseURLs(rep)
		s.testcontainers(rep)
		s.otherVantages(rep)
	}
	s.extraHosts(rep)
	_, err := w.Write(s.Out.Bytes())
	return err
}

// settings are the lines of an env file.
type settings struct{ layout.Document }

func (s *settings) comment(format string, args ...any) { s.Line("# "+format, args...) }

// variable sets a variable. It writes only a comment if a shell and an env file
// would read the value differently.
func (s *settings) variable(name, value string) {
	quoted, ok := shell.EnvValue(value)
	if !ok {
		s.comment("%s is left out: a shell and an env file would read %q differently", name, value)
		return
	}
	s.Line("%s=%s", name, quoted)
}

// explainEmpty says why there are no settings.
func (s *settings) explainEmpty(rep *report.Report) {
	switch vantages := vantagesOf(rep); {
	case len(vantages) > 0:
		s.comment("no settings: no address reaches the server from %s", strings.Join(vantages, ", "))
	case rep.Error != "":
		s.comment("no settings: %s", rep.Error)
	default:
		s.comment("no settings: %s", noAddressTried)
	}
	for _, f := range rep.Findings {
		if f.Severity == report.SeverityError {
			s.comment("%s: %s", f.Severity, causeAndTitle(f))
		}
	}
}

// baseURLs sets the best base URL, or one for each of several servers.
func (s *settings) baseURLs(rep *report.Report) {
	if len(rep.Servers) <= 1 {
		s.proof(rep, rep.Best[0], "")
		s.variable("NESTPROBE_URL", rep.Best[0].URL)
		return
	}
	bests := bestFrom(rep, rep.Best[0].Vantage)
	for i := range rep.Servers {
		at := slices.IndexFunc(bests, func(b report.Best) bool { return b.Server == i })
		if at < 0 {
			s.comment("server %d: no address reaches it from %s", i+1, rep.Best[0].Vantage)
			continue
		}
		s.proof(rep, bests[at], fmt.Sprintf("server %d, ", i+1))
		s.variable("NESTPROBE_URL_"+strconv.Itoa(i+1), bests[at].URL)
	}
}

// otherVantages lists the addresses from other vantages than the first, as
// comments: they may not work at the first one.
func (s *settings) otherVantages(rep *report.Report) {
	for _, b := range rep.Best {
		if b.Vantage != rep.Best[0].Vantage {
			s.comment("from %s, server %d is reached at %s", b.Vantage, b.Server+1, b.URL)
		}
	}
}

// proof writes the probe of a best address.
func (s *settings) proof(rep *report.Report, b report.Best, server string) {
	if p := probeBehind(rep, b); p != nil {
		s.comment("%s%s", server, measured(p))
	}
}

// measured is a probe in one line.
func measured(p *report.Probe) string {
	result := failureWords(*p)
	if p.OK {
		r := &probeRow{probe: *p}
		result = r.Result() + ", " + r.What()
	}
	return fmt.Sprintf("from %s, %s %s: %s", p.Vantage, p.Kind, p.Address, result)
}

func bestFrom(rep *report.Report, vantage string) []report.Best {
	return slices.DeleteFunc(slices.Clone(rep.Best), func(b report.Best) bool { return b.Vantage != vantage })
}

// lastingPublished are the kinds of addresses of published ports whose host is
// worth a setting, the most lasting first. 0.0.0.0 is left out because it works by
// chance, and the container of a nested engine because it is removed when the
// command ends.
var lastingPublished = []report.Kind{
	report.KindPublishedGateway, // before a machine's own address, which may change with its network
	report.KindPublishedEngineHost,
	report.KindPublishedHostAlias,
	report.KindPublishedLocalhost,
}

// testcontainers sets TESTCONTAINERS_HOST_OVERRIDE, the host to which
// Testcontainers (for Java, Go and Node alike) adds the published port. Without it,
// Testcontainers takes localhost for a local endpoint, so it is not needed where
// localhost works. In a container, Testcontainers guesses a gateway; a measured
// host is better.
func (s *settings) testcontainers(rep *report.Report) {
	const name = "TESTCONTAINERS_HOST_OVERRIDE"
	vantage := rep.Best[0].Vantage
	local := rep.Endpoint.Transport == "unix" || rep.Endpoint.Transport == "npipe"
	if p := publishedAt(rep, vantage, "127.0.0.1"); p != nil && local && vantage == "host" {
		s.comment("%s is not needed: %s", name, measured(p))
		return
	}
	for _, kind := range lastingPublished {
		for _, p := range probesFrom(rep, vantage) {
			host := hostOf(p)
			if p.Kind != kind || !p.OK || strings.Contains(host, ":") || publishedAt(rep, vantage, host) == nil {
				continue // Testcontainers joins host and port without the brackets of IPv6
			}
			s.comment("%s", measured(p))
			s.variable(name, host)
			return
		}
	}
}

// publishedAt is a working probe of a port that is published at a host. It is nil
// unless the host reaches every server that is reached from the vantage, because
// there is one setting for all servers.
func publishedAt(rep *report.Report, vantage, host string) *report.Probe {
	var found *report.Probe
	for _, b := range bestFrom(rep, vantage) {
		probes := probesOf(rep, vantage, b.Server)
		i := slices.IndexFunc(probes, func(p *report.Probe) bool {
			return p.OK && slices.Contains(lastingPublished, p.Kind) && hostOf(p) == host
		})
		if i < 0 {
			return nil
		}
		found = probes[i]
	}
	return found
}

func hostOf(p *report.Probe) string {
	host, _, err := net.SplitHostPort(p.Address)
	if err != nil {
		return ""
	}
	return host
}

// hostAlias is Docker Desktop's name for its host. Other engines need it as an
// extra host.
const hostAlias = "host.docker.internal"

// extraHosts writes the line of a compose file that gives containers a name for
// their host. It does so only if a probe shows that they have no such name, and
// another one that host-gateway leads to the server. The line is a comment because
// it belongs in another file.
func (s *settings) extraHosts(rep *report.Report) {
	if !supportsHostGateway(rep.Endpoint.Engine) {
		return
	}
	for _, vantage := range vantagesOf(rep) {
		if vantage == "host" {
			continue // it is no container
		}
		probes := probesFrom(rep, vantage)
		missing := slices.IndexFunc(probes, func(p *report.Probe) bool {
			return hostOf(p) == hostAlias && p.Failure == netprobe.NameNotFound
		})
		gateway := slices.IndexFunc(probes, func(p *report.Probe) bool { return p.OK && isHostGateway(rep, p) })
		if missing < 0 || gateway < 0 {
			continue
		}
		s.comment("%s", measured(probes[missing]))
		s.comment("%s", measured(probes[gateway]))
		s.comment("in a compose file, for the client's service:")
		s.comment(`  extra_hosts: ["%s:host-gateway"]`, hostAlias)
		return
	}
}

// hostGatewaySince is the first major version of Docker Engine that accepts
// host-gateway in --add-host and extra_hosts (Docker Engine 20.10 release notes).
const hostGatewaySince = 20

// supportsHostGateway says whether host-gateway leads to where the engine publishes
// ports. Podman accepts it only from 4.7; that of a rootless engine leads into the
// engine's own namespace; Docker Desktop has the name without it.
func supportsHostGateway(e report.Engine) bool {
	major, _, _ := strings.Cut(e.Version, ".")
	version, err := strconv.Atoi(major)
	return err == nil && version >= hostGatewaySince && e.Product == "Docker Engine" && !e.Rootless && !e.Desktop
}

// isHostGateway says whether a probe's address is the gateway of the default
// bridge, which is what host-gateway stands for.
func isHostGateway(rep *report.Report, p *report.Probe) bool {
	switch {
	case p.Kind == report.KindHostGateway:
		ip, err := netip.ParseAddr(hostOf(p))
		return err == nil && ip.Is4() && p.Vantage == "network:bridge"
	case p.Kind != report.KindPublishedGateway || p.Server >= len(rep.Servers):
		return false
	}
	return slices.ContainsFunc(rep.Servers[p.Server].Networks, func(n report.Network) bool {
		return n.Name == "bridge" && n.Gateway == hostOf(p)
	})
}
