package checks

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpproxy"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// ConfiguredProxies are proxies of docker's configuration.
type ConfiguredProxies struct {
	Key              string // in the file, such as proxies.default
	File             string
	HTTP, HTTPS, All string
	No               string
}

// proxies are proxy settings that some programs get.
type proxies struct {
	http, https setting
	no          setting
	place       string // where they are set, as the end of a sentence
}

// setting is a setting with its name, which its place knows it by.
type setting struct{ name, value string }

// address is what programs may want to reach.
type address struct {
	host  string // one that stands for all
	entry string // what to add to NO_PROXY
	words string
}

// lookAtOwnProxies is about programs on this machine.
func (s *state) lookAtOwnProxies(context.Context) (outcome, error) {
	p := s.ownProxies()
	if p.none() {
		return pass("none in the environment")
	}
	var addresses []address
	if s.elsewhere() == "" {
		addresses = addressesOf(s.networks)
	}
	if host := s.settings.RemoteHost(); host != "" {
		addresses = append(addresses, address{host, host, "the engine's host " + host})
	}
	return p.judge(addresses, func(entries []string) []string {
		known := ""
		if p.no.value != "" {
			known = "$" + p.no.name + ","
		}
		return []string{fmt.Sprintf(`export %s="%s%s"`, p.no.name, known, strings.Join(entries, ","))}
	})
}

// lookAtContainerProxies is about programs in containers that docker makes.
func (s *state) lookAtContainerProxies(context.Context) (outcome, error) {
	configured := s.ContainerProxies(s.settings.Host)
	p := configured.proxies()
	if p.none() {
		return pass("none in docker's configuration")
	}
	return p.judge(addressesOf(s.networks), func([]string) []string { return nil })
}

// ownProxies reads the environment as Go's clients do (httpproxy.FromEnvironment),
// and keeps the names.
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
		http:  first("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"),
		https: first("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"),
		no:    first("NO_PROXY", "no_proxy"),
		place: "of the environment",
	}
}

func (c ConfiguredProxies) proxies() proxies {
	first := func(named ...setting) setting {
		for _, s := range named {
			if s.value != "" {
				return s
			}
		}
		return setting{}
	}
	all := setting{c.Key + ".allProxy", c.All}
	return proxies{
		http:  first(setting{c.Key + ".httpProxy", c.HTTP}, all),
		https: first(setting{c.Key + ".httpsProxy", c.HTTPS}, all),
		no:    setting{c.Key + ".noProxy", c.No},
		place: "of " + c.File,
	}
}

func (p proxies) none() bool { return p.http.value == "" && p.https.value == "" }

// addressesOf are the addresses that the containers of networks get.
func addressesOf(networks []network) []address {
	var addresses []address
	for _, n := range networks {
		for _, subnet := range n.subnets {
			some := subnet.Addr().Next().Next()
			addresses = append(addresses, address{some.String(), subnet.String(), fmt.Sprintf("%s of network %s", subnet, n.name)})
		}
	}
	return addresses
}

// judge says which addresses would be asked through a proxy.
func (p proxies) judge(addresses []address, commands func(entries []string) []string) (outcome, error) {
	proxyFor := (&httpproxy.Config{HTTPProxy: p.http.value, HTTPSProxy: p.https.value, NoProxy: p.no.value}).ProxyFunc()
	var evidence, entries []string
	for _, a := range addresses {
		for _, scheme := range []string{"http", "https"} {
			proxy, err := proxyFor(&url.URL{Scheme: scheme, Host: bracketed(a.host)})
			if err != nil || proxy == nil {
				continue
			}
			set := p.http
			if scheme == "https" {
				set = p.https
			}
			evidence = append(evidence, fmt.Sprintf("%s %s sends requests for %s to %s: add %s to %s", set.name, p.place, a.words, proxy.Host, a.entry, p.no.name))
			if !slices.Contains(entries, a.entry) {
				entries = append(entries, a.entry)
			}
			break // the other scheme has the same entry
		}
	}
	if len(entries) == 0 {
		return pass("set, and %s covers what programs may want to reach", p.no.name)
	}
	fault := &report.Fault{
		Cause:    diagnosis.HTTPProxyInterferes,
		Evidence: some(evidence),
		Hint:     fmt.Sprintf("add %s to %s %s, and the names of servers", strings.Join(some(entries), ","), p.no.name, p.place),
		Commands: commands(some(entries)),
	}
	return warn(fault, "no entry of %s %s covers %s", p.no.name, p.place, strings.Join(some(entries), ", "))
}

// bracketed is a host as URLs have it.
func bracketed(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		return "[" + host + "]"
	}
	return host
}
