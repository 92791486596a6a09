package plugin

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/net/http/httpguts"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// targetOptions are the flags for what one probe sends and expects. run, in-container and
// diagnose have them.
type targetOptions struct {
	scheme    string
	path      string
	header    []string
	method    string
	status    int
	body      string
	webSocket string
}

// install adds the flags that every command has. The help of path, scheme and websocket
// says what their default is, which differs between commands.
func (o *targetOptions) install(flags *pflag.FlagSet, scheme, path, webSocket string) {
	flags.StringVar(&o.path, "path", "", path)
	flags.StringVar(&o.scheme, "scheme", "", scheme)
	flags.StringArrayVar(&o.header, "header", nil, `Header to send, as "Name: value" (repeatable); "Host" may be set`)
	flags.IntVar(&o.status, "expect-status", http.StatusOK, "Expected HTTP status")
	flags.StringVar(&o.body, "expect-body", "", "Text that the body must contain")
	flags.StringVar(&o.webSocket, "websocket", "", webSocket)
}

// target returns what the flags describe. An empty scheme and an empty path stay so.
func (o *targetOptions) target() (netprobe.Target, error) {
	header, err := parseHeaders(o.header)
	return netprobe.Target{
		Scheme:    netprobe.Scheme(o.scheme),
		Path:      o.path,
		Method:    o.method,
		Header:    header,
		Expect:    netprobe.Expect{Status: o.status, Body: o.body},
		WebSocket: o.webSocket,
	}, err
}

// httpFlags are the flags that only a probe over HTTP has a use for.
var httpFlags = []string{"path", "header", "method", "expect-status", "websocket"}

// checkTarget rejects a target that cannot be probed as it is described.
func checkTarget(target netprobe.Target, flags *pflag.FlagSet) error {
	switch {
	case target.Scheme != netprobe.HTTP && target.Scheme != netprobe.HTTPS && target.Scheme != netprobe.TCP:
		return fmt.Errorf("invalid --scheme %q: must be http, https or tcp", target.Scheme)
	case target.Expect.Status < 100 || target.Expect.Status > 599:
		return fmt.Errorf("invalid --expect-status %d: must be from 100 to 599", target.Expect.Status)
	case target.Method != "" && !httpguts.ValidHeaderFieldName(target.Method) || target.Method == http.MethodConnect:
		return fmt.Errorf("invalid --method %q: must be a method such as GET, HEAD, POST or OPTIONS", target.Method)
	case target.Method == http.MethodHead && target.Expect.Body != "":
		return errors.New("conflicting options: the answer to --method HEAD has no body, so --expect-body cannot be used with it")
	}
	if target.Scheme == netprobe.TCP {
		i := slices.IndexFunc(httpFlags, func(name string) bool { return flags.Changed(name) && name != "path" })
		if i >= 0 {
			return fmt.Errorf("conflicting options: --%s cannot be used with --scheme tcp", httpFlags[i])
		}
	}
	if target.WebSocket != "" {
		if err := checkPath("websocket", target.WebSocket); err != nil {
			return err
		}
	}
	if target.Path == "" {
		return nil
	}
	return checkPath("path", target.Path)
}

// checkPath rejects a path that cannot be sent to a server unchanged.
func checkPath(flag, path string) error {
	if !strings.HasPrefix(path, "/") {
		return fmt.Errorf("invalid --%s %q: must begin with /", flag, path)
	}
	if strings.Contains(path, "#") {
		return fmt.Errorf("invalid --%s %q: the part after a # is not sent to servers; remove it, or write %%23 for a #", flag, path)
	}
	_, err := url.Parse("http://localhost" + path)
	if parsing := new(url.Error); errors.As(err, &parsing) {
		return fmt.Errorf("invalid --%s %q: %s; write %%25 for a %%, and %%XX for other bytes that a URL cannot contain",
			flag, path, strings.TrimPrefix(parsing.Err.Error(), "net/url: "))
	}
	return nil
}

// computedHeaders are headers that describe a body or the connection, and that a probe,
// which has no body, therefore does not send as given.
var computedHeaders = []string{"Connection", "Content-Length", "Trailer", "Transfer-Encoding", "Upgrade"}

// parseHeaders parses headers as curl does: a name, a colon, and a value without the
// space around it. nil stands for no headers.
func parseHeaders(lines []string) (http.Header, error) {
	var header http.Header
	for _, line := range lines {
		name, value, found := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case !found || value == "":
			return nil, fmt.Errorf("invalid --header %q: must be of the form \"Name: value\"", line)
		case !httpguts.ValidHeaderFieldName(name):
			return nil, fmt.Errorf("invalid --header %q: %q is not the name of a header", line, name)
		case !httpguts.ValidHeaderFieldValue(value):
			return nil, fmt.Errorf("invalid --header %q: the value has a control character", line)
		case slices.Contains(computedHeaders, http.CanonicalHeaderKey(name)):
			return nil, fmt.Errorf("invalid --header %q: a probe sets %s itself", line, http.CanonicalHeaderKey(name))
		}
		if header == nil {
			header = http.Header{}
		}
		header.Add(name, value)
	}
	if host := header.Values("Host"); len(host) > 1 {
		return nil, errors.New("conflicting options: --header sets Host more than once")
	} else if len(host) == 1 && !httpguts.ValidHostHeader(host[0]) {
		return nil, fmt.Errorf("invalid --header: %q is not the name of a host", host[0])
	}
	return header, nil
}

// portValue is a flag for a TCP port.
type portValue uint16

// Set accepts docker's form PORT/tcp too.
func (p *portValue) Set(text string) error {
	number, protocol, _ := strings.Cut(text, "/")
	if protocol != "" && protocol != "tcp" {
		return fmt.Errorf("%s is not probed, only TCP is: give the number of a TCP port", strings.ToUpper(protocol))
	}
	port, err := strconv.ParseUint(number, 10, 16)
	if err != nil || port == 0 {
		return errors.New("must be from 1 to 65535")
	}
	*p = portValue(port)
	return nil
}

func (p *portValue) String() string {
	if *p == 0 {
		return "" // the help then shows no default
	}
	return strconv.Itoa(int(*p))
}

// Type is the kind of value in the help.
func (*portValue) Type() string { return "port" }
