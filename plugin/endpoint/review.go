package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/client"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/hosttext"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// reviewTimeout bounds what is measured after an endpoint has failed, so that diagnose
// reports a fault within 5 s. An engine that runs answers a ping within it, and TCP sends a
// lost packet again after 1 s (RFC 6298, section 2.1).
const reviewTimeout = 1500 * time.Millisecond

// reviewer looks for the reason of a fault in what the user has set: the text of the
// endpoint, a proxy, the clock, the files of a context, the port.
type reviewer struct {
	origin

	settings connection.Settings // which have no review
	material connection.TLS
	options  []connection.Option // those of the settings
}

// review returns the first fault that explains the given one, or that one with more
// evidence.
func (r reviewer) review(ctx context.Context, fault *report.Fault) *report.Fault {
	return redacted(r.explain(ctx, fault))
}

func (r reviewer) explain(ctx context.Context, fault *report.Fault) *report.Fault {
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	for _, explain := range []func(context.Context, *report.Fault) *report.Fault{
		r.malformed, r.proxied, r.clockSkew, r.brokenFiles, r.implied, r.spokenTo, r.neighbour,
	} {
		if found := explain(ctx, fault); found != nil {
			return found
		}
	}
	return r.ofContext(fault)
}

// redacted is a fault without passwords: what the user has written, and what was probably
// meant, may hold one.
func redacted(fault *report.Fault) *report.Fault {
	for _, lines := range [][]string{fault.Evidence, fault.Commands} {
		for i := range lines {
			lines[i] = hosttext.Redacted(lines[i])
		}
	}
	fault.Hint = hosttext.Redacted(fault.Hint)
	if fault.Err != nil {
		if text := fault.Err.Error(); text != hosttext.Redacted(text) {
			fault.Err = sentence.Of(fault.Err, "%s", hosttext.Redacted(text))
		}
	}
	return fault
}

// implied explains an endpoint that nothing names: with a setting of TLS docker's default
// is a port of this machine instead of the socket (docker/cli, opts.ParseHost). It is nil
// if no engine answers at the socket.
func (r reviewer) implied(ctx context.Context, fault *report.Fault) *report.Fault {
	if r.stored() || r.written != "" || r.settings.Transport != connection.TCP {
		return nil
	}
	if !r.answers(ctx, client.DefaultDockerHost) {
		return nil
	}
	fault.Evidence = append(fault.Evidence,
		fmt.Sprintf("no setting names a host: since TLS is turned on, docker's default is %s, not %s", r.settings.Host, client.DefaultDockerHost),
		"an engine answers at "+client.DefaultDockerHost)
	fault.Hint = "turn TLS off (DOCKER_TLS_VERIFY, --tls, --tlsverify), which the socket does not need"
	fault.Commands = turnOffTLS.variables()
	return fault
}

// spokenTo recognizes an ssh server, which speaks first (RFC 4253, section 4.2).
func (r reviewer) spokenTo(_ context.Context, fault *report.Fault) *report.Fault {
	ssh := slices.ContainsFunc(fault.Evidence, func(line string) bool { return strings.Contains(line, `"SSH-`) })
	if !ssh {
		return nil
	}
	target := r.url()
	if target == nil {
		return nil
	}
	host := "ssh://USER@" + strings.TrimSuffix(target.Host, ":22")
	fault.Hint = r.advice(host) + ", since an ssh server answers there"
	fault.Commands = r.commands(host, sameTLS)
	return fault
}

// try opens another host with the same settings, and closes it again.
func (r reviewer) try(ctx context.Context, host string, more ...connection.Option) error {
	opened, err := connection.Open(ctx, connection.NewSettings(r.context, host, slices.Concat(r.options, more)...))
	if err != nil {
		return err
	}
	opened.Close()
	return nil
}

// answers says whether an engine answers at another host with the same settings.
func (r reviewer) answers(ctx context.Context, host string) bool { return r.try(ctx, host) == nil }

// url is the endpoint over TCP as a URL, or nil.
func (r reviewer) url() *url.URL {
	target, err := url.Parse(r.settings.Host)
	if err != nil || r.settings.Transport != connection.TCP {
		return nil
	}
	return target
}

// ofContext gives the hint about TLS for an endpoint that is in the context store, where
// variables have no effect.
func (r reviewer) ofContext(fault *report.Fault) *report.Fault {
	if !r.stored() {
		return fault
	}
	switch fault.Cause {
	case connection.TLSRequired:
		fault.Hint = "give the context its TLS files"
		fault.Commands = r.commands(r.written, turnOnTLS)
		fault.Evidence = append(fault.Evidence, "the context has no TLS files in "+r.tlsFiles)
	case connection.TLSNotExpected:
		fault.Hint = "take the TLS files out of the context, or turn TLS on in the engine"
		fault.Commands = r.commands(r.written, turnOffTLS)
	}
	return fault
}

// causeOf is the cause of an error that is a fault, with what happened.
func causeOf(err error) (report.Cause, string) {
	var fault *report.Fault
	if !errors.As(err, &fault) || fault.Err == nil {
		return "", err.Error()
	}
	return fault.Cause, fault.Err.Error()
}
