package checks

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/proxy"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
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
	proxy.Settings

	source string // where they are set, as the end of a sentence
}

// destination is what programs may send requests to.
type destination struct {
	host        string // one host of the destination
	entry       string // for NO_PROXY, covers the whole destination
	description string
}

// checkOwnProxies checks the proxies of programs on this machine.
func (s *state) checkOwnProxies(context.Context) (checkResult, error) {
	p := s.ownProxies()
	if p.None() {
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
		return []string{shell.Add(p.No.Name, p.No.Value != "", strings.Join(entries, ","))}
	})
}

// checkContainerProxies checks the proxies of programs in new containers.
func (s *state) checkContainerProxies(context.Context) (checkResult, error) {
	p := s.ContainerProxies(s.settings.Host).proxies()
	if p.None() {
		return pass("none in docker's configuration")
	}
	return p.check(subnetDestinations(s.networks), func([]string) []string { return nil })
}

// ownProxies are those of this process.
func (s *state) ownProxies() proxies {
	return proxies{proxy.FromEnvironment(s.Environment), "of the environment"}
}

func (c ConfiguredProxies) proxies() proxies {
	p := proxy.Settings{
		HTTP:  facts.ProxySetting{Name: c.Key + ".httpProxy", Value: c.HTTP},
		HTTPS: facts.ProxySetting{Name: c.Key + ".httpsProxy", Value: c.HTTPS},
		No:    facts.ProxySetting{Name: c.Key + ".noProxy", Value: c.No},
	}
	all := facts.ProxySetting{Name: c.Key + ".allProxy", Value: c.All}
	if c.HTTP == "" {
		p.HTTP = all
	}
	if c.HTTPS == "" {
		p.HTTPS = all
	}
	return proxies{p, "of " + c.File}
}

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
	var evidence, entries []string
	for _, d := range destinations {
		caught, ok := p.Catch(d.host)
		if !ok {
			continue
		}
		evidence = append(evidence, fmt.Sprintf("%s %s sends requests for %s to %s: add %s to %s", caught.By.Name, p.source, d.description, caught.Proxy, d.entry, p.No.Name))
		if !slices.Contains(entries, d.entry) {
			entries = append(entries, d.entry)
		}
	}
	if len(entries) == 0 {
		return pass("set, and %s covers each address that was checked", p.No.Name)
	}
	fault := &report.Fault{
		Cause:    diagnosis.HTTPProxyInterferes,
		Evidence: firstLines(evidence),
		Hint:     fmt.Sprintf("add %s and the names of your servers to %s %s", strings.Join(firstLines(entries), ","), p.No.Name, p.source),
		Commands: commands(entries),
	}
	return warn(fault, "no entry of %s %s covers %s", p.No.Name, p.source, strings.Join(firstLines(entries), ", "))
}
