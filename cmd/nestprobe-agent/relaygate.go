package main

import (
	"crypto/subtle"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/client"
)

// gate decides who may use a relay: whoever knows the run's token, but no web page of
// another site. A page may know the token from the user's history, and a name that leads
// to it today may lead to the relay tomorrow (DNS rebinding).
type gate struct{ client.RelayAccess }

// refusal returns why a request is refused; empty if it is not.
func (g gate) refusal(r *http.Request) string {
	switch {
	case !g.knowsHost(r.Host):
		return "this relay does not have the name that the request's Host header has: use the printed URL"
	case !g.knowsOrigins(r):
		return "this relay does not answer web pages of other sites"
	case !g.hasToken(r):
		return "this relay needs the token of its run: use the printed URL, or the header " + client.TokenHeader
	default:
		return ""
	}
}

// knowsHost says whether a Host header may lead to the relay. Any IP address may: only a
// name can lead to an address that its owner does not have. Every browser sends the
// header; clients of HTTP/1.0 may leave it out.
func (g gate) knowsHost(host string) bool {
	name := strings.ToLower(strings.TrimSuffix((&url.URL{Host: host}).Hostname(), "."))
	if _, err := netip.ParseAddr(name); err == nil || name == "" && host == "" {
		return true
	}
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || slices.Contains(g.Hosts, name)
}

// knowsOrigins says whether the request comes from no web page, from one of the relay
// itself, or from the one that the user has named.
func (g gate) knowsOrigins(r *http.Request) bool {
	for _, origin := range r.Header.Values("Origin") {
		parsed, err := url.Parse(origin)
		own := err == nil && (parsed.Scheme == "http" || parsed.Scheme == "https") && strings.EqualFold(parsed.Host, r.Host)
		if !own && (g.Origin == "" || origin != g.Origin) {
			return false
		}
	}
	return true
}

func (g gate) hasToken(r *http.Request) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	return g.isToken(first) || g.isToken(r.Header.Get(client.TokenHeader))
}

// isToken compares in constant time, so that the time does not show how much is right.
func (g gate) isToken(text string) bool {
	return g.Token != "" && subtle.ConstantTimeCompare([]byte(text), []byte(g.Token)) == 1
}

// below returns the path of a request, as it was sent, without the token.
func (g gate) below(r *http.Request) string {
	return strings.TrimPrefix(r.URL.EscapedPath(), "/"+g.Token)
}

// hide removes the token from a request to a server, to which only its own paths matter.
func (g gate) hide(out http.Header) {
	out.Del(client.TokenHeader)
	if referer := out.Get("Referer"); strings.Contains(referer, g.Token) {
		out.Set("Referer", strings.ReplaceAll(referer, "/"+g.Token, ""))
	}
}
