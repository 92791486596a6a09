package client

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// A client gets the host that its access stands for, or the reason why it cannot.
func TestCarryEndpoint(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		host   string // the user's
		access Access
		want   string // host that the client connects to; empty for an error
		fault  bool   // the error has a cause
	}{
		{host: "unix:///run/a.sock", access: AccessSocket, want: "unix:///var/run/docker.sock"},
		{host: "tcp://192.0.2.1:2376", access: AccessSocket, want: "unix:///var/run/docker.sock"},
		{host: "tcp://192.0.2.1:2376", access: AccessNone, want: "unix:///var/run/docker.sock"},
		{host: "tcp://192.0.2.1:2376", access: AccessDind, want: "tcp://127.0.0.1:2375"},
		{host: "tcp://192.0.2.1:2376", access: AccessEndpoint, want: "tcp://192.0.2.1:2376"},
		{host: "tcp://127.0.0.1:2376", access: AccessEndpoint, fault: true},
		{host: "unix:///run/a.sock", access: AccessEndpoint},
		{host: "ssh://user@192.0.2.1", access: AccessEndpoint},
	} {
		carried, err := Options{Endpoint: connection.NewSettings("", test.host)}.carryEndpoint(test.access)
		if test.want == "" {
			assert.Check(t, err != nil, test.host)
			assert.Check(t, is.Equal(errors.As(err, new(*report.Fault)), test.fault), test.host)
			continue
		}
		assert.NilError(t, err)
		settings, err := connection.Receive(carried)
		assert.NilError(t, err)
		assert.Check(t, is.Equal(settings.Host, test.want), test.host)
	}
}

// A path that the user gave comes first; then the endpoint's, which Docker Desktop maps.
func TestSocketPath(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		host, given string
		desktop     bool
		want        string
	}{
		{host: "unix:///run/a.sock", want: "/run/a.sock"},
		{host: "unix:///run/a.sock", desktop: true, want: "/var/run/docker.sock"},
		{host: "unix:///run/a.sock", desktop: true, given: "/b.sock", want: "/b.sock"},
		{host: "tcp://192.0.2.1:2376", want: "/var/run/docker.sock"},
		{host: "tcp://192.0.2.1:2376", given: "/b.sock", want: "/b.sock"},
	} {
		r := &run{options: Options{Endpoint: connection.NewSettings("", test.host), SocketPath: test.given}}
		r.description.Endpoint.Engine.Desktop = test.desktop
		assert.Check(t, is.Equal(r.socketPath(), test.want), "%+v", test)
	}
}

// An engine that creates missing sources gets only a path that exists, or that the user gave.
func TestCheckSocket(t *testing.T) {
	t.Parallel()
	here := connection.NewSettings("", "unix:///run/a.sock")
	remote := connection.NewSettings("", "tcp://192.0.2.1:2376")
	missing := filepath.Join(t.TempDir(), "missing.sock")
	assert.Check(t, Options{Endpoint: here}.checkSocket(t.TempDir(), nil))
	assert.Check(t, is.ErrorContains(Options{Endpoint: here, SocketPath: missing}.checkSocket(missing, nil), "missing.sock"))
	assert.Check(t, is.ErrorContains(Options{Endpoint: remote}.checkSocket("/var/run/docker.sock", nil), "is not known"))
	assert.Check(t, Options{Endpoint: remote, SocketPath: missing}.checkSocket(missing, nil))
	inside := &facts.Self{Network: facts.OwnNetwork} // its paths are not those of the engine's host
	assert.Check(t, Options{Endpoint: here, SocketPath: missing}.checkSocket(missing, inside))
	assert.Check(t, is.ErrorContains(Options{Endpoint: here}.checkSocket("/var/run/docker.sock", inside), "is not known"))
}

func TestPrintedOptionsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	const secret = "hush"
	options := Options{Endpoint: connection.NewSettings("", "tcp://192.0.2.1:2376",
		connection.WithTLS(connection.TLS{Key: []byte(secret)}),
		connection.WithHeaders(map[string]string{"Authorization": secret}))}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		for _, value := range []any{options, &options, run{options: options}, &run{options: options}} {
			printed := fmt.Sprintf(format, value)
			assert.Check(t, !is.Contains(printed, secret)().Success(), "%s: %s", format, printed)
			assert.Check(t, !is.Contains(printed, "68757368")().Success(), "%s: %s", format, printed)
		}
	}
}
