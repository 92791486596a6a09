package endpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/context/docker"
	"github.com/docker/docker/client"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/hosttext"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// origin is the setting that an endpoint's host is from.
type origin struct {
	context  string // docker's name of it, which is default for a host of -H or DOCKER_HOST
	written  string // the host as it stands there; empty for docker's default
	setting  string // "-H", "DOCKER_HOST", or empty for a host of the context store
	tlsFiles string // the folder of the context's TLS files; empty for a context that is not stored
	noVerify bool   // the context accepts any certificate
}

func originOf(cli command.Cli, context string, meta docker.EndpointMeta, flags Flags) origin {
	if context != command.DefaultContextName {
		files := filepath.Join(cli.ContextStore().GetStorageInfo(context).TLSPath, docker.DockerEndpoint)
		return origin{context: context, written: meta.Host, tlsFiles: files, noVerify: meta.SkipTLSVerify}
	}
	from := origin{context: context, setting: client.EnvOverrideHost, written: os.Getenv(client.EnvOverrideHost)}
	if flags != nil {
		if value, given := flags("host"); given {
			from.setting, from.written = "-H", value
		}
	}
	return from
}

// stored says whether the host is from docker's context store.
func (o origin) stored() bool { return o.setting == "" }

// source names the setting, for the evidence of faults.
func (o origin) source() string {
	switch {
	case o.stored():
		return fmt.Sprintf("from context %q", o.context)
	case o.written == "":
		return "by default"
	default:
		return "from " + o.setting
	}
}

// String is the setting with its value, as the subject of a sentence.
func (o origin) String() string {
	written := hosttext.Redacted(o.written)
	switch o.setting {
	case "":
		return fmt.Sprintf("the host %s of context %q", written, o.context)
	case "-H":
		return "-H " + written
	default:
		return o.setting + "=" + written
	}
}

// advice is to give the setting another host, as a part of a sentence.
func (o origin) advice(host string) string {
	switch o.setting {
	case "":
		return fmt.Sprintf("give context %q the host %s", o.context, host)
	case "-H":
		return "use -H " + host
	default:
		return "set " + o.setting + " to " + host
	}
}

// encryption is what another host needs of the settings of TLS.
type encryption int

const (
	sameTLS encryption = iota
	turnOnTLS
	turnOffTLS
)

// commands give the setting another host. Those for -H run a command that shows whether
// the host works.
func (o origin) commands(host string, tls encryption) []string {
	switch {
	case o.stored():
		return []string{shell.Line("docker context update %s --docker %s", o.context, o.contextHost(host, tls))}
	case o.setting == "-H":
		return append(tls.variables(), shell.Line("docker -H %s version", host))
	default:
		return tls.variables(shell.Assignment{Name: client.EnvOverrideHost, Value: host})
	}
}

// variables are the commands that set the variables for TLS, and other ones.
func (tls encryption) variables(others ...shell.Assignment) []string {
	var commands []string
	switch tls {
	case turnOnTLS:
		others = append(others, connection.TLSVariables()...)
	case turnOffTLS:
		commands = []string{connection.UnsetTLS()}
	}
	if len(others) > 0 {
		commands = append(commands, shell.Export(others...))
	}
	return commands
}

// contextHost is the value of --docker of `docker context update`, which forgets the TLS
// files that it does not name.
func (o origin) contextHost(host string, tls encryption) string {
	fields := []string{"host=" + host}
	for _, file := range []string{"ca", "cert", "key"} {
		switch path := filepath.Join(o.tlsFiles, file+".pem"); {
		case tls == turnOnTLS:
			fields = append(fields, file+"=FOLDER/"+file+".pem")
		case tls == sameTLS && isFile(path):
			fields = append(fields, file+"="+path)
		}
	}
	if o.noVerify && tls == sameTLS {
		fields = append(fields, "skip-tls-verify=true")
	}
	return strings.Join(fields, ",")
}

func isFile(path string) bool {
	info, err := os.Stat(path) //nolint:gosec // only looked at
	return err == nil && info.Mode().IsRegular()
}
