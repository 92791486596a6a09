package checks

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpproxy"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// ConfiguredProxies are the proxy settings of docker's configuration for one engine.
type ConfiguredProxies struct {
	Key              string // in the file, such as proxies.default
	File             string
	HTTP, HTTPS, All string
	No               string
}

// proxies are the proxy settings of some programs.
type proxies struct {
	http, https setting
	no          setting
	source      string // where they are set, as the end of a sentence
}

// setting is a setting, with its name in its source.
type setting struct{ name, value string }

// destination is what programs may send requests to.
type destination struct {
	host        string // one host of the destination
	entry       string // for NO_PROXY, covers the whole destination
	description string
}

// checkOwnProxies checks the proxies of programs on this machine.
func (s *state) checkOwnProxies(context.Context) (checkResult, error) {
	p := s.ownProxies()
	if p.none() {
		return pass("none in the environment")
	}
	var destinations []destination
	if !s.engineFacts().NetworksElsewhere() {
		destinations = subnetDestinations(s.networks)
	}
	if host := s.settings.RemoteHost(); host != "" {
		destinations = append(destinations, destination{host, host, "the engine's host " + host})
	}
	return p.check(destinations, func(entries []string) []string {
		present := ""
		if p.no.value != "" {
			present = "$" + p.no.name + ","
		}
		return []string{fmt.Sprintf(`export %s="%s%s"`, p.no.name, present, strings.Join(entries, ","))}
	})
}

// checkContainerProxies checks the proxies of programs in new containers.
func (s *state) checkContainerProxies(context.Context) (checkResult, error) {
	p := s.ContainerProxies(s.settings.Host).proxies()
	if p.none() {
		return pass("none in docker's configuration")
	}
	return p.check(subnetDestinations(s.networks), func([]string) []string { return nil })
}

// ownProxies reads the environment as Go programs do (httpproxy.FromEnvironment),
// and keeps the names of the variables.
func (s *state) ownProxies() proxies {
	first := func(names ...string) setting {
		for _, name := range names {
			if value := s.Environment(name); value != "" {
				return setting{name, value}
			}
		}
		return setting{name: names[0]}
	}
	return proxies{
		http:   first("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"),
		https:  first("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"),
		no:     first("NO_PROXY", "no_proxy"),
		source: "of the environment",
	}
}

func (c ConfiguredProxies) proxies() proxies {
	p := proxies{
		http:   setting{c.Key + ".httpProxy", c.HTTP},
		https:  setting{c.Key + ".httpsProxy", c.HTTPS},
		no:     setting{c.Key + ".noProxy", c.No},
		source: "of " + c.File,
	}
	all := setting{c.Key + ".allProxy", c.All}
	if c.HTTP == "" {
		p.http = all
	}
	if c.HTTPS == "" {
		p.https = all
	}
	return p
}

func (p proxies) none() bool { return p.http.value == "" && p.https.value == "" }

// subnetDestinations returns the subnets of networks, with an address that a
// container may have.
func subnetDestinations(networks []network) []destination {
	var destinations []destination
	for _, n := range networks {
		for _, subnet := range n.subnets {
			container := subnet.Addr().Next().Next()
			destinations = append(destinations, destination{container.String(), subnet.String(), fmt.Sprintf("%s of network %s", subnet, n.name)})
		}
	}
	return destinations
}

// check finds the destinations to which requests would go through a proxy. The
// function commands returns those that add entries to NO_PROXY.
func (p proxies) check(destinations []destination, commands func(entries []string) []string) (checkResult, error) {
	proxyFor := (&httpproxy.Config{HTTPProxy: p.http.value, HTTPSProxy: p.https.value, NoProxy: p.no.value}).ProxyFunc()
	var evidence, entries []string
	for _, d := range destinations {
		for _, scheme := range []string{"http", "https"} {
			proxy, err := proxyFor(&url.URL{Scheme: scheme, Host: net.JoinHostPort(d.host, "")})
			if err != nil || proxy == nil {
				continue
			}
			used := p.http
			if scheme == "https" {
				used = p.https
			}
			evidence = append(evidence, fmt.Sprintf("%s %s sends requests for %s to %s: add %s to %s", used.name, p.source, d.description, proxy.Host, d.entry, p.no.name))
			if !slices.Contains(entries, d.entry) {
				entries = append(entries, d.entry)
			}
			break // the other scheme needs the same entry
		}
	}
	if len(entries) == 0 {
		return pass("set, and %s covers each address that was checked", p.no.name)
	}
	fault := &report.Fault{
		Cause:    diagnosis.HTTPProxyInterferes,
		Evidence: firstLines(evidence),
		Hint:     fmt.Sprintf("add %s and the names of your servers to %s %s", strings.Join(firstLines(entries), ","), p.no.name, p.source),
		Commands: commands(firstLines(entries)),
	}
	return warn(fault, "no entry of %s %s covers %s", p.no.name, p.source, strings.Join(firstLines(entries), ", "))
}
