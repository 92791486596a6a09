package connection

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/docker/docker/client"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// The variables of the docker CLI for which package client has no name
// (docker/cli, cli/flags/options.go and cli/config).
const (
	tlsVariable    = "DOCKER_TLS"
	configVariable = "DOCKER_CONFIG"
)

// defaultContext is docker's name for the endpoint that no context chose.
const defaultContext = "default"

// FromEnvironment returns the settings that a docker client takes from
// DOCKER_HOST, DOCKER_TLS_VERIFY, DOCKER_TLS, DOCKER_CERT_PATH and
// DOCKER_API_VERSION: those of the docker CLI for the same variables where
// nothing else is configured, which is how it is in most containers. It reads
// the TLS files and does not dial. Errors are of type [*report.Fault].
func FromEnvironment() (Settings, error) {
	verify := os.Getenv(client.EnvTLSVerify) != ""
	useTLS := verify || os.Getenv(tlsVariable) != ""
	value := os.Getenv(client.EnvOverrideHost)
	source := "from " + client.EnvOverrideHost
	if value == "" {
		source = "docker's default, since " + client.EnvOverrideHost + " is not set"
	}
	host, err := hostOf(value, useTLS)
	if err != nil {
		return Settings{}, unresolved(hostFault(err), source)
	}
	options := []Option{WithAPIVersion(os.Getenv(client.EnvOverrideAPIVersion))}
	if useTLS {
		material, err := readTLS(CertPath())
		if err != nil {
			return Settings{}, unresolved(FilesFault(err), source)
		}
		material.SkipVerify = !verify
		options = append(options, WithTLS(material))
	}
	return NewSettings(defaultContext, host, options...).From(source), nil
}

// CertPath is the folder where docker looks for TLS files that no flag names.
func CertPath() string {
	if dir := os.Getenv(client.EnvOverrideCertPath); dir != "" {
		return filepath.Clean(dir)
	}
	if dir := os.Getenv(configVariable); dir != "" {
		return filepath.Clean(dir)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		if me, err := user.Current(); err == nil {
			home = me.HomeDir
		}
	}
	return filepath.Join(home, ".docker") // without a home in the current folder, as docker
}

// readTLS reads the three files of a folder. As the docker CLI it insists on
// ca.pem alone.
func readTLS(dir string) (TLS, error) {
	material := TLS{Folder: dir}
	for name, to := range map[string]*[]byte{"ca.pem": &material.CA, "cert.pem": &material.Cert, "key.pem": &material.Key} {
		data, err := os.ReadFile(filepath.Join(dir, name)) //nolint:gosec // the folder that the user named
		if errors.Is(err, fs.ErrNotExist) && name != "ca.pem" {
			continue
		}
		if err != nil {
			return TLS{}, err
		}
		*to = data
	}
	return material, nil
}

// hostOf completes the value of DOCKER_HOST as the docker CLI does (docker/cli,
// opts/hosts.go).
func hostOf(value string, useTLS bool) (string, error) {
	value = strings.TrimSpace(value)
	if value == "" {
		if useTLS {
			return "tcp://localhost:2376", nil
		}
		return client.DefaultDockerHost, nil
	}
	scheme, rest, found := strings.Cut(value, "://")
	if !found {
		scheme, rest = string(TCP), value
	}
	switch {
	case scheme == string(SSH), scheme == "fd":
		return value, nil
	case strings.Contains(rest, "://"):
	case scheme == string(TCP):
		return tcpHost(rest)
	case scheme == string(Unix) && rest == "":
		return "unix:///var/run/docker.sock", nil
	case scheme == string(Npipe) && rest == "":
		return "npipe:////./pipe/docker_engine", nil
	case scheme == string(Unix), scheme == string(Npipe):
		return value, nil
	}
	return "", fmt.Errorf("%q is not an address of an engine", redacted(value))
}

// tcpHost adds what is missing: localhost, and the port 2375, even with TLS. As
// the docker CLI it wants a port after an IPv6 address.
func tcpHost(address string) (string, error) {
	const registered = "2375"
	parsed, err := url.Parse("tcp://" + address)
	if err != nil {
		return "", errors.New("it cannot be parsed") // url's error shows a password
	}
	host, port, err := net.SplitHostPort(parsed.Host)
	if err != nil {
		host, port, err = net.SplitHostPort(net.JoinHostPort(parsed.Host, registered))
	}
	if err != nil {
		return "", err
	}
	if host == "" {
		host = "localhost"
	}
	if port == "" {
		port = registered
	}
	return "tcp://" + net.JoinHostPort(host, port) + parsed.Path, nil
}

// hostFault is for a DOCKER_HOST that is not an address.
func hostFault(err error) *report.Fault {
	return &report.Fault{
		Cause:    EngineUnreachable,
		Evidence: []string{"reading it: " + sentence.Visible(err.Error())},
		Hint:     "give it as unix:///PATH, tcp://HOST:PORT or ssh://USER@HOST",
		Err:      sentence.Of(err, "the Docker host in %s cannot be used", client.EnvOverrideHost),
	}
}

// unresolved puts what is known before anything is dialled before a fault's
// evidence.
func unresolved(fault *report.Fault, source string) *report.Fault {
	fault.Evidence = append([]string{"endpoint: " + source, "phase reached: " + string(PhaseSettings)}, fault.Evidence...)
	return fault
}
