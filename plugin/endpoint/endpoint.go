// Package endpoint finds the Docker API that the user has selected: [Resolve] uses
// docker/cli's own code. The package connection opens the API and explains why that
// may fail; the agent uses it too.
//
// The commands of the package plugin call this package. It must not know of
// containers, candidates or reports. It never exits, never prints, and never shows
// TLS keys or custom HTTP headers.
package endpoint

import (
	"context"
	"errors"
	"os"

	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/connhelper"
	"github.com/docker/cli/cli/connhelper/ssh"
	"github.com/docker/cli/cli/context/docker"
	"github.com/docker/docker/client"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// Endpoint is the Docker API that the user's context, -H, environment and TLS
// settings select. Printing it shows no secrets, as with all Settings.
type Endpoint struct {
	connection.Settings
}

// Flags returns the value of one of docker's own flags, such as "host", and whether the
// user gave it. A nil Flags has none.
type Flags func(name string) (value string, given bool)

// Resolve returns the endpoint that the docker CLI would use with the same
// flags, environment and configuration, by the CLI's own code. The cli must be
// initialised. Resolve only reads settings and does not dial, so an engine that is
// down is no error of it. Its errors are of type [*report.Fault].
func Resolve(cli command.Cli, flags Flags) (*Endpoint, error) {
	return ResolveContext(cli, cli.CurrentContext(), flags)
}

// ResolveContext is [Resolve] for one of the user's contexts, as if it were the
// current one. The default context is what flags and environment select.
func ResolveContext(cli command.Cli, name string, flags Flags) (*Endpoint, error) {
	resolved, err := resolveContext(cli, name, flags)
	if fault := new(report.Fault); errors.As(err, &fault) {
		return nil, redacted(fault)
	}
	return resolved, err
}

func resolveContext(cli command.Cli, name string, flags Flags) (*Endpoint, error) {
	store := cli.ContextStore()
	if store == nil {
		return nil, errors.New("resolve the Docker endpoint: the docker CLI is not initialised")
	}
	metadata, err := store.GetMetadata(name)
	if err != nil {
		return nil, contextFault(cli, name, flags, err)
	}
	meta, err := docker.EndpointFromContext(metadata)
	if err != nil {
		return nil, contextFault(cli, name, flags, err)
	}
	resolved, err := docker.WithTLSData(store, name, meta)
	if err != nil {
		return nil, contextFault(cli, name, flags, err)
	}
	headers, err := customHeaders(cli.ConfigFile().HTTPHeaders)
	if err != nil {
		return nil, headersFault(err)
	}
	return newEndpoint(resolved, headers, originOf(cli, name, meta, flags))
}

func newEndpoint(resolved docker.Endpoint, headers map[string]string, from origin) (*Endpoint, error) {
	options := []connection.Option{
		connection.WithHeaders(headers),
		connection.WithAPIVersion(os.Getenv(client.EnvOverrideAPIVersion)),
		connection.WithUserAgent(command.UserAgent()),
	}
	material, given := tlsOf(from.context, resolved)
	if given {
		options = append(options, connection.WithTLS(material))
	}
	settings := connection.NewSettings(from.context, resolved.Host, options...).From(from.source())
	r := reviewer{origin: from, settings: settings, material: material, options: options}
	if settings.Transport != connection.SSH {
		options = append(options, connection.WithReview(r.review))
		return &Endpoint{connection.NewSettings(from.context, resolved.Host, options...).From(from.source())}, nil
	}
	dialer, err := sshDialer(resolved.Host)
	if err != nil {
		return nil, r.refused(settings.Unusable(err))
	}
	return &Endpoint{connection.NewSettings(from.context, resolved.Host, append(options, dialer)...).From(from.source())}, nil
}

// sshDialer opens connections by running ssh, as the docker CLI does.
func sshDialer(host string) (connection.Option, error) {
	helper, err := connhelper.GetConnectionHelper(host)
	if err != nil {
		return nil, err
	}
	return connection.WithDialer(helper.Dialer, sshCommands(host)...), nil
}

// sshCommands are for the user to try, with the arguments of docker/cli.
func sshCommands(host string) []string {
	spec, err := ssh.ParseURL(host)
	if err != nil {
		return nil
	}
	start := shell.Text("ssh")
	if spec.User != "" {
		start = shell.Text(shell.Line("%s -l %s", start, spec.User))
	}
	if spec.Port != "" {
		start = shell.Text(shell.Line("%s -p %s", start, spec.Port))
	}
	return []string{shell.Line("%s -- %s %s", start, spec.Host, "docker version")}
}

// tlsOf is the endpoint's TLS material, if it has any.
func tlsOf(name string, resolved docker.Endpoint) (material connection.TLS, given bool) {
	material.SkipVerify = resolved.SkipTLSVerify
	if name == command.DefaultContextName {
		material.Folder = connection.CertPath()
	}
	if resolved.TLSData == nil {
		return material, resolved.SkipTLSVerify
	}
	material.CA, material.Cert, material.Key = resolved.TLSData.CA, resolved.TLSData.Cert, resolved.TLSData.Key
	return material, true
}

// Connect opens the endpoint; see [connection.Open].
func (e *Endpoint) Connect(ctx context.Context) (*connection.Connection, error) {
	return connection.Open(ctx, e.Settings)
}
