package render

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// writeEnv writes settings for other tools, those alone that the Report proves
// right, each below a comment with the row that it rests on. The output is for a
// shell's eval and for env files alike, so values need no quotes that an env file
// would take for a part of them.
func writeEnv(w io.Writer, rep *report.Report) error {
	var s settings
	if len(rep.Best) == 0 {
		s.nothing(rep)
	} else {
		s.baseURLs(rep)
		s.testcontainers(rep)
		s.elsewhere(rep)
	}
	s.extraHosts(rep)
	_, err := w.Write(s.out.Bytes())
	return err
}

// settings are what is being written.
type settings struct{ out bytes.Buffer }

// comment is one line, whatever is in it.
func (s *settings) comment(format string, args ...any) {
	fmt.Fprintf(&s.out, "# %s\n", netprobe.Visible(fmt.Sprintf(format, args...), maxText))
}

// value sets a variable, unless no notation of its value is good for a shell and
// an env file both.
func (s *settings) value(name, value string) {
	quoted, ok := quote(value)
	if !ok {
		s.comment("%s is left out: a shell and an env file would read %q differently", name, value)
		return
	}
	fmt.Fprintf(&s.out, "%s=%s\n", name, quoted)
}

// plainValue is what means itself to every shell and every reader of env files.
var plainValue = regexp.MustCompile(`^[0-9A-Za-z_@%+=:,./\[\]-]+$`)

// quote makes a value that a POSIX shell and docker compose's env files read as
// the same. (docker run's have no quotes; what they would misread is not plain.)
func quote(value string) (quoted string, ok bool) {
	switch {
	case plainValue.MatchString(value):
		return value, true
	case strings.ContainsAny(value, "'\\\r\n\x00"):
		return "", false
	default:
		return "'" + value + "'", true
	}
}

// nothing says why there are no settings.
func (s *settings) nothing(rep *report.Report) {
	switch vantages := vantagesOf(rep); {
	case len(vantages) > 0:
		s.comment("no settings: no address reaches the server from %s", strings.Join(vantages, ", "))
	case rep.Error != "":
		s.comment("no settings: %s", rep.Error)
	default:
		s.comment("no settings: no address was tried")
	}
	for _, f := range rep.Findings {
		if f.Severity == report.SeverityError {
			s.comment("%s: %s", f.Severity, strings.TrimPrefix(string(f.Cause)+": "+f.Title, ": "))
		}
	}
}

// baseURLs sets the best base URL, or one for each of several servers.
func (s *settings) baseURLs(rep *report.Report) {
	if len(rep.Servers) <= 1 {
		s.rests(rep, rep.Best[0], "")
		s.value("NESTPROBE_URL", rep.Best[0].URL)
		return
	}
	bests := bestOf(rep, rep.Best[0].Vantage)
	for i := range rep.Servers {
		at := slices.IndexFunc(bests, func(b report.Best) bool { return b.Server == i })
		if at < 0 {
			s.comment("server %d: no address reaches it from %s", i+1, rep.Best[0].Vantage)
			continue
		}
		s.rests(rep, bests[at], fmt.Sprintf("server %d, ", i+1))
		s.value("NESTPROBE_URL_"+strconv.Itoa(i+1), bests[at].URL)
	}
}

// elsewhere tells of the addresses for other vantages, which are of no use at the
// first one.
func (s *settings) elsewhere(rep *report.Report) {
	for _, b := range rep.Best {
		if b.Vantage != rep.Best[0].Vantage {
			s.comment("from %s, server %d is reached at %s", b.Vantage, b.Server+1, b.URL)
		}
	}
}

// rests says which row a best address is.
func (s *settings) rests(rep *report.Report, b report.Best, server string) {
	if p := probeBehind(rep, b); p != nil {
		s.comment("%s%s", server, measured(p))
	}
}

// measured is a row in a line.
func measured(p *report.Probe) string {
	if !p.OK {
		return fmt.Sprintf("from %s, %s %s: %s", p.Vantage, p.Kind, p.Address, words(*p))
	}
	r := &row{probe: *p}
	return fmt.Sprintf("from %s, %s %s: %s, %s", p.Vantage, p.Kind, p.Address, r.Result(), r.What())
}

func bestOf(rep *report.Report, vantage string) []report.Best {
	return slices.DeleteFunc(slices.Clone(rep.Best), func(b report.Best) bool { return b.Vantage != vantage })
}

// lastingPublished are the kinds of addresses of published ports whose host is
// worth a setting, the most lasting first. 0.0.0.0 works by chance, and a nested
// engine's container is gone when the command ends.
var lastingPublished = []report.Kind{
	report.KindPublishedEngineHost,
	report.KindPublishedGateway,
	report.KindPublishedHostAlias,
	report.KindPublishedLocalhost,
}

// testcontainers sets TESTCONTAINERS_HOST_OVERRIDE, the host to which
// Testcontainers (for Java, Go and Node alike) adds the published port. Left to
// itself it takes localhost for a local endpoint, so there is no need where that
// works. In a container it guesses a gateway, and an override that was measured is
// better.
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
				continue // host:port is put together without the brackets of IPv6
			}
			s.comment("%s", measured(p))
			s.value(name, host)
			return
		}
	}
}

// publishedAt is a row of a published port that was reached at a host, if all
// servers that are reached from there are reached at it: the setting is one for
// all. It is nil otherwise.
func publishedAt(rep *report.Report, vantage, host string) *report.Probe {
	var found *report.Probe
	for _, b := range bestOf(rep, vantage) {
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

func probesFrom(rep *report.Report, vantage string) []*report.Probe {
	var probes []*report.Probe
	for i, p := range rep.Probes {
		if p.Vantage == vantage {
			probes = append(probes, &rep.Probes[i])
		}
	}
	return probes
}

func hostOf(p *report.Probe) string {
	host, _, err := net.SplitHostPort(p.Address)
	if err != nil {
		return ""
	}
	return host
}

// hostAlias is the name that Docker Desktop gives to its host, and that others
// are given as an extra host.
const hostAlias = "host.docker.internal"

// extraHosts tells of the line for a compose file that gives containers a name of
// their host, where it was measured that they lack it, and that the address for
// which the engine puts host-gateway works. It is a comment because it goes into
// another file.
func (s *settings) extraHosts(rep *report.Report) {
	if !takesHostGateway(rep.Endpoint.Engine) {
		return
	}
	for _, vantage := range vantagesOf(rep) {
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
		s.comment("in a compose file, for the service that asks:")
		s.comment(`  extra_hosts: ["%s:host-gateway"]`, hostAlias)
		return
	}
}

// hostGatewaySince is the version of Docker Engine from which host-gateway is an
// address for --add-host and extra_hosts (Docker Engine 20.10 release notes).
const hostGatewaySince = 20

// takesHostGateway says whether an engine puts its own address for host-gateway,
// and one that leads to where it publishes ports. Podman's does so from 4.7 only, a
// rootless engine's leads into its own namespace, and Docker Desktop has the name
// anyway.
func takesHostGateway(e report.Engine) bool {
	major, _, _ := strings.Cut(e.Version, ".")
	version, err := strconv.Atoi(major)
	return err == nil && version >= hostGatewaySince && e.Product == "Docker Engine" && !e.Rootless && !e.Desktop
}

// isHostGateway says whether a row's address is the default bridge's gateway,
// which is what host-gateway stands for.
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
