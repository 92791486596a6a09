package endpoint

import (
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
// of precedence. The function flagged says whether one of docker's own flags, such as
// "host", was given.
func (e *Endpoint) Sources(cli command.Cli, flagged func(flag string) bool) connection.Sources {
	return connection.Sources{
		Context:    e.contextSource(cli, flagged),
		Host:       e.hostSource(flagged),
		TLS:        e.tlsSource(flagged),
		Files:      e.filesSource(flagged),
		APIVersion: apiVersionSource(),
		Headers:    headersSource(cli),
	}
}

func (e *Endpoint) contextSource(cli command.Cli, flagged func(string) bool) string {
	switch {
	case e.Context != cli.CurrentContext():
		return "in the context store" // one of several contexts
	case flagged("host"):
		return "since -H is given"
	case flagged("context"):
		return "from --context"
	case e.Context == command.DefaultContextName && contextSource(cli, e.Context) == byDefault:
		return "by default"
	default:
		return contextSource(cli, e.Context)
	}
}

func (e *Endpoint) hostSource(flagged func(string) bool) string {
	switch {
	case e.Context != command.DefaultContextName:
		return fmt.Sprintf("from context %q", e.Context)
	case flagged("host"):
		return "from -H"
	case os.Getenv(client.EnvOverrideHost) != "":
		return "from " + client.EnvOverrideHost
	default:
		return "by default"
	}
}

func (e *Endpoint) tlsSource(flagged func(string) bool) string {
	switch {
	case !e.TLS:
		return ""
	case e.Context != command.DefaultContextName:
		return fmt.Sprintf("from context %q", e.Context)
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

func (e *Endpoint) filesSource(flagged func(string) bool) string {
	switch {
	case !e.TLS:
		return ""
	case e.Context != command.DefaultContextName:
		return fmt.Sprintf("from context %q", e.Context)
	}
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
