// Package proxy reads the proxy settings of programs, and says which requests they catch.
//
// The checks and the diagnosis of a target call it. It must not be imported by the agent,
// whose size matters: the tables for international names of hosts are large.
package proxy

import (
	"net"
	"net/url"

	"golang.org/x/net/http/httpproxy"

	"github.com/nestprobe/docker-nestprobe/plugin/facts"
)

// Settings are the proxy settings of some programs. They implement [facts.Proxies].
type Settings struct {
	HTTP, HTTPS facts.ProxySetting
	No          facts.ProxySetting // the hosts that are reached without
}

// FromEnvironment reads an environment as Go programs do (httpproxy.FromEnvironment), and
// keeps the names of the variables. Other programs use ALL_PROXY too.
func FromEnvironment(getenv func(name string) string) Settings {
	first := func(names ...string) facts.ProxySetting {
		for _, name := range names {
			if value := getenv(name); value != "" {
				return facts.ProxySetting{Name: name, Value: value}
			}
		}
		return facts.ProxySetting{Name: names[0]}
	}
	return Settings{
		HTTP:  first("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"),
		HTTPS: first("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"),
		No:    first("NO_PROXY", "no_proxy"),
	}
}

// None says whether no proxy is set.
func (s Settings) None() bool { return s.HTTP.Value == "" && s.HTTPS.Value == "" }

// NoProxy returns the setting that lists the hosts that are reached without a proxy.
func (s Settings) NoProxy() facts.ProxySetting { return s.No }

// Catch says to which proxy requests to a host go: those with HTTP, or else those with
// HTTPS. It is false if they go to the host itself. A setting that is not a URL catches
// nothing.
func (s Settings) Catch(host string) (facts.Caught, bool) {
	proxyFor := (&httpproxy.Config{HTTPProxy: s.HTTP.Value, HTTPSProxy: s.HTTPS.Value, NoProxy: s.No.Value}).ProxyFunc()
	for _, request := range []struct {
		scheme string
		by     facts.ProxySetting
	}{{"http", s.HTTP}, {"https", s.HTTPS}} {
		proxy, err := proxyFor(&url.URL{Scheme: request.scheme, Host: net.JoinHostPort(host, "")})
		if err == nil && proxy != nil {
			return facts.Caught{By: request.by, Proxy: proxy.Host}, true
		}
	}
	return facts.Caught{}, false
}
