package connection

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/endpointtest"
)

// secretSettings are settings with every kind of secret, and the secrets.
func secretSettings(t *testing.T) (settings Settings, shown []string) {
	t.Helper()
	ca := endpointtest.NewAuthority(t, "ca")
	material := materialOf(ca, ca.Client(t))
	settings = NewSettings("test", "tcp://me:pa55word@127.0.0.1:1", WithTLS(*material),
		WithHeaders(map[string]string{"Authorization": "hush"}))
	shown = append(make([]string, 0, 14), "pa55word", "hush")
	for _, data := range [][]byte{material.Key, material.Cert, []byte("hush")} {
		encoded, err := json.Marshal(data)
		assert.NilError(t, err)
		shown = append(shown, string(data), strings.Trim(string(encoded), `"`),
			fmt.Sprintf("%x", data[:4]), strings.Trim(fmt.Sprintf("%d", data[:4]), "[]"))
	}
	return settings, shown
}

// printed is a value, printed with every format verb and flag.
func printed(t *testing.T, value any) []string {
	t.Helper()
	verbs := []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%o", "%t"}
	all := make([]string, len(verbs))
	for i, verb := range verbs {
		all[i] = fmt.Sprintf(verb, value)
	}
	return all
}

// TestNothingLeaks prints settings with every verb, and as JSON.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	s, secrets := secretSettings(t)
	assert.Assert(t, s.TLS)
	type holder struct {
		hidden  Settings
		Shown   Settings
		pointer *Settings
		List    []*Settings
	}
	held := holder{s, s, &s, []*Settings{&s}}
	for _, value := range []any{&s, s, held, &held, []any{&s, held.hidden, held.pointer}, map[string]any{"s": s}, *s.use().tls, s.use().tls} {
		for _, text := range printed(t, value) {
			endpointtest.WantNoSecret(t, secrets, text)
		}
	}
	for _, value := range []any{&s, s, held, s.use().tls} {
		encoded, err := json.Marshal(value)
		assert.NilError(t, err)
		endpointtest.WantNoSecret(t, secrets, string(encoded))
	}
	assert.Equal(t, fmt.Sprintf("%#v", s), "tcp://me:xxxxx@127.0.0.1:1 (context test, tls true)")
	endpointtest.WantNoSecret(t, secrets, connectFails(t, s).Error())
}

// TestConnectionLeaksNothing prints an open connection.
func TestConnectionLeaksNothing(t *testing.T) {
	t.Parallel()
	_, secrets := secretSettings(t)
	ca := endpointtest.NewAuthority(t, "ca")
	material := materialOf(ca, ca.Client(t))
	address := serveEngine(t, &tls.Config{Certificates: ca.Server(t).TLS(t)})
	c := connect(t, NewSettings("test", "tcp://"+address, WithTLS(*material), WithHeaders(map[string]string{"X-Token": "hush"})))
	secrets = append(secrets, string(material.Key))
	for _, value := range []any{c, []any{c}, struct{ C *Connection }{c}} {
		for _, text := range printed(t, value) {
			endpointtest.WantNoSecret(t, secrets, text)
		}
	}
}

// TestNoSettings connects with the zero Settings.
func TestNoSettings(t *testing.T) {
	t.Parallel()
	assert.Equal(t, Settings{}.String(), " (context , tls false)")
	fault := endpointtest.FaultOf(t, connectFails(t, Settings{}))
	assert.Assert(t, strings.Contains(fault.Error(), "cannot be used"), fault.Error())
}

func TestRemoteHost(t *testing.T) {
	t.Parallel()
	for host, test := range map[string]struct {
		remote   string
		loopback bool
	}{
		"unix:///var/run/docker.sock":     {"", false},
		"npipe:////./pipe/docker_engine":  {"", false},
		"tcp://192.0.2.1:2376":            {"192.0.2.1", false},
		"tcp://me:secret@192.0.2.1:2376":  {"192.0.2.1", false},
		"tcp://[2001:db8::1]:2375":        {"2001:db8::1", false},
		"tcp://engine.example":            {"engine.example", false},
		"tcp://localhost.example:2375":    {"localhost.example", false},
		"ssh://me@192.0.2.1:22/run/d.soc": {"192.0.2.1", false},
		"tcp://localhost:2375":            {"localhost", true},
		"tcp://LocalHost.:2375":           {"LocalHost.", true},
		"tcp://engine.localhost:2375":     {"engine.localhost", true},
		"tcp://127.0.0.1:2375/base":       {"127.0.0.1", true},
		"tcp://127.9.9.9:2375":            {"127.9.9.9", true},
		"tcp://[::1]:2375":                {"::1", true},
		"tcp://[::ffff:127.0.0.1]:2375":   {"::ffff:127.0.0.1", true},
		"tcp://0.0.0.0:2375":              {"0.0.0.0", true},
		"tcp://[::]:2375":                 {"::", true},
		"ssh://me@localhost":              {"localhost", true},
		"tcp://%zz":                       {"", false},
	} {
		s := NewSettings("test", host)
		assert.Equal(t, s.RemoteHost(), test.remote, host)
		assert.Equal(t, s.IsLoopback(), test.loopback, host)
		assert.Equal(t, s.EngineHost() == test.remote, !test.loopback, host)
	}
}
