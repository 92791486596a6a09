package hosttext

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// Docker's ports (IANA), which it adds to an address without one.
const (
	portPlain = "2375"
	portTLS   = "2376"
)

// unixPath is a relative path after unix://, or something after a socket's path.
func unixPath(t text) *Problem {
	if t.scheme != "unix" || t.rest == "" {
		return nil
	}
	if !strings.HasPrefix(t.rest, "/") {
		return relative(t)
	}
	if found := afterSocket.FindStringSubmatch(t.rest); found != nil {
		problem := &Problem{What: "has something after the path of a socket", Meant: []string{"unix://" + found[1]}}
		if second := strings.TrimPrefix(found[2], ":"); path.IsAbs(second) && second != found[2] {
			problem.Meant = append(problem.Meant, "unix://"+second)
		}
		return problem
	}
	return nil
}

var afterSocket = regexp.MustCompile(`^(.*?\.sock)([/:].*)$`)

// relative is a path without its first slash, which docker looks for in the current
// folder.
func relative(t text) *Problem {
	if t.exists(path.Join(t.Dir, t.rest)) {
		return nil
	}
	problem := &Problem{What: "has a relative path after unix://, which docker looks for in the current folder", Sure: true}
	rest := strings.TrimPrefix(strings.TrimPrefix(t.rest, "localhost/"), "127.0.0.1/") // as URLs have a host there
	if strings.HasPrefix(rest, "~/") {
		problem.What = "begins with ~, which only a shell replaces"
		problem.Meant = []string{t.socket(rest)}
		return problem
	}
	problem.Meant = []string{"unix:///" + strings.TrimLeft(strings.TrimPrefix(rest, "./"), "/")}
	return problem
}

// tcpAddress is an address after tcp:// that is not HOST:PORT.
func tcpAddress(t text) *Problem {
	if t.scheme != "tcp" || t.rest == "" {
		return nil
	}
	if strings.HasPrefix(t.rest, "/") {
		if strings.HasSuffix(t.rest, ".sock") {
			return t.inner("has tcp:// before the path of a socket", "unix:///"+strings.TrimLeft(t.rest, "/"))
		}
		return t.inner("has too many slashes after tcp:", "tcp://"+strings.TrimLeft(t.rest, "/"))
	}
	address, behind, hasPath := strings.Cut(t.rest, "/")
	if _, host, user := strings.Cut(address, "@"); user {
		address = host
	}
	if problem := hostAndPort(address); problem != nil {
		return problem
	}
	if hasPath && behind != "" {
		return &Problem{What: fmt.Sprintf("has the path /%s after host and port", behind), Meant: []string{"tcp://" + address}}
	}
	return nil
}

func hostAndPort(address string) *Problem {
	if strings.HasPrefix(address, "[") && !strings.Contains(address, "]") {
		return &Problem{What: "has no ] after the IPv6 address", Meant: bracketed(address[1:]), Sure: true}
	}
	if strings.Count(address, ":") > 1 && !strings.HasPrefix(address, "[") {
		return &Problem{What: "has an IPv6 address without brackets", Meant: bracketed(address), Sure: true}
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "" {
		return nil // docker adds the port
	}
	if number, err := strconv.Atoi(port); err != nil || number < 1 || number > 65535 {
		return &Problem{
			What: fmt.Sprintf("has the port %s, which is no number from 1 to 65535", port), Sure: true,
			Meant: []string{"tcp://" + net.JoinHostPort(host, portPlain), "tcp://" + net.JoinHostPort(host, portTLS)},
		}
	}
	return nil
}

// bracketed are the endpoints that an IPv6 address without brackets may mean: its last
// group may be the port.
func bracketed(address string) []string {
	var meant []string
	if end := strings.LastIndex(address, ":"); end > 0 {
		host, port := address[:end], address[end+1:]
		if _, err := netip.ParseAddr(host); err == nil && onlyPort.MatchString(port) {
			meant = append(meant, "tcp://"+net.JoinHostPort(host, port))
		}
	}
	if _, err := netip.ParseAddr(address); err == nil {
		meant = append(meant, "tcp://"+net.JoinHostPort(address, portPlain))
	}
	return meant
}

// sshAddress is what docker refuses after ssh:// (docker/cli, connhelper/ssh, newSpec).
func sshAddress(t text) *Problem {
	if t.scheme != "ssh" {
		return nil
	}
	p := splitSSH(t.rest)
	host, port, _ := strings.Cut(p.address, ":")
	_, badURL := url.Parse(t.whole)
	switch {
	case host == "":
		return &Problem{What: "has no host after ssh://", Sure: true}
	case p.secret:
		return &Problem{What: "has a password, which ssh does not take from there", Meant: []string{"ssh://" + p.user + p.address + p.path}, Sure: true}
	case p.query != "":
		return &Problem{What: fmt.Sprintf("has %s at its end, which docker does not know", p.query), Meant: []string{"ssh://" + p.user + p.address + p.path}, Sure: true}
	case badURL != nil:
		return &Problem{What: fmt.Sprintf("has %q where the port belongs", port), Meant: []string{"ssh://" + p.user + host}, Sure: true}
	default:
		return nil
	}
}

// sshParts are the parts of what follows ssh://.
type sshParts struct {
	user    string // with its @
	secret  bool   // there is a password
	address string // host and port
	path    string // with its slash
	query   string // with its first character
}

func splitSSH(rest string) sshParts {
	var p sshParts
	if user, after, found := strings.Cut(rest, "@"); found {
		p.user, _, p.secret = strings.Cut(user, ":")
		p.user, rest = p.user+"@", after
	}
	if end := strings.IndexAny(rest, "?#"); end >= 0 {
		rest, p.query = rest[:end], rest[end:]
	}
	p.address = rest
	if end := strings.Index(rest, "/"); end >= 0 {
		p.address, p.path = rest[:end], rest[end:]
	}
	return p
}

// httpAddress is a URL of the web. Docker writes tcp:// and has TLS as another setting.
// In a context it takes the URL, but never with TLS.
func httpAddress(t text) *Problem {
	if t.scheme != "http" && t.scheme != "https" {
		return nil
	}
	problem := &Problem{What: fmt.Sprintf("begins with %s://, where docker has tcp://", t.scheme), TLS: t.scheme == "https", Sure: !t.Stored}
	address, _, _ := strings.Cut(t.rest, "/")
	if address == "" {
		return problem
	}
	if strings.Contains(strings.TrimSuffix(address, "]"), ":") && !strings.HasSuffix(address, "]") {
		problem.Meant = []string{"tcp://" + address}
		return problem
	}
	ports := []string{portPlain, "80"}
	if problem.TLS {
		ports = []string{portTLS, "443"}
	}
	for _, port := range ports {
		problem.Meant = append(problem.Meant, "tcp://"+address+":"+port)
	}
	return problem
}

// otherScheme is a scheme that docker does not know.
func otherScheme(t text) *Problem {
	switch t.scheme {
	case "", "unix", "npipe", "tcp", "ssh", "http", "https":
		return nil
	case "fd": // of dockerd's own -H
		return &Problem{What: "is for dockerd, which gets its socket from systemd", Meant: []string{t.local()}, Sure: true}
	}
	problem := &Problem{What: fmt.Sprintf("has the scheme %s, which docker does not know", t.scheme), Sure: true}
	switch {
	case strings.HasPrefix(t.rest, "/"):
		problem.Meant = []string{t.socket(t.rest)}
	case t.rest != "":
		address, _, _ := strings.Cut(t.rest, "/")
		problem.Meant = []string{"tcp://" + address}
	}
	return problem
}
