package plugin

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/target"
	"github.com/nestprobe/docker-nestprobe/plugin/target/meaning"
)

// parseTarget parses CONTAINER, CONTAINER:PORT, host:PORT, an address with a port, such
// as localhost:8080 or [::1]:8080, or a URL with one of them. The name of a container has
// no colon and no slash.
func parseTarget(text string) (target.Target, error) {
	parsed, hostport, err := cutURL(text)
	if err != nil {
		return target.Target{}, invalidTarget(text, err)
	}
	name, portText, hasPort := cutPort(hostport)
	if strings.HasPrefix(hostport, "[") && !meaning.IsAddress(name) {
		return target.Target{}, invalidTarget(text, errors.New("brackets are for IPv6 addresses, such as [::1]:PORT"))
	}
	if hasPort || name == "" {
		port, err := strconv.ParseUint(portText, 10, 16)
		if err != nil || port == 0 || name == "" {
			return target.Target{}, invalidTarget(text, errors.New("must be CONTAINER[:PORT], host:PORT or localhost:PORT, with a port from 1 to 65535"))
		}
		parsed.Port = uint16(port)
	}
	host, address := name == probing.VantageHost, meaning.IsAddress(name)
	switch {
	case host && parsed.Port == 0:
		return target.Target{}, invalidTarget(text, errors.New("use host:PORT for a server on the engine's host"))
	case address && parsed.Port == 0:
		return target.Target{}, invalidTarget(text, fmt.Errorf("use %s:PORT", hostport))
	case address:
		parsed.Address = name
	case !host:
		parsed.Container = name
	}
	return parsed, nil
}

func invalidTarget(text string, err error) error {
	return fmt.Errorf("invalid TARGET %q: %w", text, err)
}

// cutURL splits a URL, which may lack its scheme, into the host and port, and itself. A
// URL without a port has that of its scheme. The target has a URL only if text has a
// scheme or a path.
func cutURL(text string) (parsed target.Target, hostport string, err error) {
	text = strings.TrimPrefix(text, "jdbc:") // before the URL that a Java driver takes
	hasScheme := strings.Contains(text, "://")
	if !hasScheme && !strings.Contains(text, "/") {
		return target.Target{}, text, nil
	}
	if !hasScheme {
		text = "//" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return target.Target{}, "", errors.Unwrap(err) // without the URL, which may have a password
	}
	hostport = u.Host
	if port := defaultPorts[u.Scheme]; u.Port() == "" && port != "" {
		hostport = net.JoinHostPort(u.Hostname(), port)
	}
	return target.Target{URL: u}, hostport, nil
}

// defaultPorts are the ports of URLs without one.
var defaultPorts = map[string]string{"http": "80", "ws": "80", "https": "443", "wss": "443"}

// cutPort splits host:port. An IPv6 address has brackets if a port follows.
func cutPort(hostport string) (host, port string, hasPort bool) {
	if strings.HasPrefix(hostport, "[") {
		address, rest, _ := strings.Cut(hostport[1:], "]")
		port, hasPort = strings.CutPrefix(rest, ":")
		return address, port, hasPort
	}
	return strings.Cut(hostport, ":")
}
