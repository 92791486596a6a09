package endpoint

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// proxied explains a fault by a proxy of the environment, which docker's client uses for
// every endpoint over TCP: an engine answers without it.
func (r reviewer) proxied(ctx context.Context, fault *report.Fault) *report.Fault {
	proxy := r.proxy()
	if proxy == nil {
		return nil
	}
	if err := r.try(ctx, r.settings.Host, connection.WithoutProxy()); err != nil {
		_, what := causeOf(err)
		fault.Evidence = append(fault.Evidence, "without the proxy: "+what)
		return nil
	}
	by := firstSet("HTTP_PROXY", "http_proxy")
	if r.settings.TLS {
		by = firstSet("HTTPS_PROXY", "https_proxy")
	}
	host, no := r.settings.RemoteHost(), firstSet("NO_PROXY", "no_proxy")
	_, through := causeOf(fault)
	return &report.Fault{
		Cause: connection.HTTPProxyInterferes,
		Evidence: append([]string{
			fmt.Sprintf("%s sends the requests for %s to the proxy %s", by, host, proxy.Host),
			"through the proxy: " + through,
			"without the proxy, an engine answers at " + r.settings.Host,
		}, fault.Evidence...),
		Hint:     fmt.Sprintf("add %s to %s", host, no),
		Commands: []string{shell.Add(no, os.Getenv(no) != "", host)},
		Err:      sentence.Of(fault.Err, "the proxy %s of %s does not lead to the engine at %s", proxy.Host, by, r.settings.Host),
	}
}

// proxy is the proxy that docker's client goes through, or nil.
func (r reviewer) proxy() *url.URL {
	target := r.url()
	if target == nil {
		return nil
	}
	target.Scheme = "http"
	if r.settings.TLS {
		target.Scheme = "https"
	}
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: target})
	if err != nil {
		return nil // the client has failed with the same error
	}
	return proxy
}

// firstSet is the first of some variables that is set, as Go programs choose (net/http,
// ProxyFromEnvironment), or else the first.
func firstSet(names ...string) string {
	for _, name := range names {
		if os.Getenv(name) != "" {
			return name
		}
	}
	return names[0]
}
