package endpoint

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	"github.com/docker/cli/cli/command"
	"github.com/docker/docker/client"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
)

// Variables of the docker CLI for which it exports no names (docker/cli,
// cli/flags/options.go).
const (
	tlsVariable = "DOCKER_TLS"
	verifyFlag  = "tlsverify"
)

// Sources says where the settings of a resolved endpoint are from, in docker's order
// of precedence.
func (e *Endpoint) Sources(cli command.Cli, flags Flags) connection.Sources {
	flagged := func(flag string) bool { _, given := flags(flag); return given }
	sources := connection.Sources{
		Context:    cmp.Or(choice{cli: cli, name: e.Context, flags: flags}.source(), "by default"),
		Host:       hostSource(flagged),
		TLS:        tlsSource(flagged),
		Files:      filesSource(flagged),
		APIVersion: apiVersionSource(),
		Headers:    headersSource(cli),
	}
	if e.Context != command.DefaultContextName {
		source := fmt.Sprintf("from context %q", e.Context)
		sources.Host, sources.TLS, sources.Files = source, source, source
	}
	if !e.TLS {
		sources.TLS, sources.Files = "", ""
	}
	return sources
}

// hostSource, tlsSource and filesSource are for the default context.
func hostSource(flagged func(string) bool) string {
	switch {
	case flagged("host"):
		return "from -H"
	case os.Getenv(client.EnvOverrideHost) != "":
		return "from " + client.EnvOverrideHost
	default:
		return "by default"
	}
}

func tlsSource(flagged func(string) bool) string {
	switch {
	case flagged(verifyFlag):
		return "from --" + verifyFlag
	case os.Getenv(client.EnvTLSVerify) != "":
		return "from " + client.EnvTLSVerify
	case flagged("tls"):
		return "from --tls"
	default:
		return "from " + tlsVariable
	}
}

func filesSource(flagged func(string) bool) string {
	source := "of " + connection.CertPath()
	if os.Getenv(client.EnvOverrideCertPath) != "" {
		source = "from " + client.EnvOverrideCertPath + "=" + connection.CertPath()
	}
	for _, flag := range []string{"tlscacert", "tlscert", "tlskey"} {
		if flagged(flag) {
			source += ", --" + flag
		}
	}
	return source
}

func apiVersionSource() string {
	if version := os.Getenv(client.EnvOverrideAPIVersion); version != "" {
		return fmt.Sprintf("fixed to %s by %s", version, client.EnvOverrideAPIVersion)
	}
	return ""
}

func headersSource(cli command.Cli) string {
	switch {
	case os.Getenv(headersVariable) != "":
		return "from " + headersVariable
	case len(cli.ConfigFile().HTTPHeaders) > 0:
		return "from HttpHeaders in " + filepath.Clean(cli.ConfigFile().Filename)
	default:
		return ""
	}
}
