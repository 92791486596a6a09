package connection

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/endpointtest"
)

func carry(t *testing.T, s Settings) []byte {
	t.Helper()
	data, err := s.Carry()
	assert.NilError(t, err)
	return data
}

// TestCarry carries everything that a client is made from.
func TestCarry(t *testing.T) {
	t.Parallel()
	secret, _ := secretSettings(t)
	for name, s := range map[string]Settings{
		"secrets": secret,
		"socket":  unixSettings("/var/run/docker.sock"),
		"plain":   tcpSettings("192.0.2.1:2375", nil),
		"careless": NewSettings("test", "tcp://192.0.2.1:2376", WithTLS(TLS{SkipVerify: true}),
			WithAPIVersion("v1.41"), WithUserAgent("a client")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Receive(carry(t, s))
			assert.NilError(t, err)
			assert.Equal(t, got.String(), s.String())
			assert.Equal(t, resolved(got), resolved(s))
			assert.Equal(t, got.answerTimeout, s.answerTimeout)
			ignored := cmpopts.IgnoreFields(secrets{}, "dial")
			assert.DeepEqual(t, got.use(), s.use(), cmp.AllowUnexported(secrets{}), ignored, cmpopts.EquateEmpty())
		})
	}
}

// TestCarryWorks opens an engine with mutual TLS with carried settings, and sends it
// the headers.
func TestCarryWorks(t *testing.T) {
	t.Parallel()
	ca := endpointtest.NewAuthority(t, "ca")
	seen := make(chan string, 1)
	proxy := engineProxy(t)
	address := serve(t, &tls.Config{
		Certificates: ca.Server(t).TLS(t), ClientCAs: ca.Pool(), ClientAuth: tls.RequireAndVerifyClientCert,
	}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case seen <- r.Header.Get("X-Token") + " of " + r.UserAgent():
		default:
		}
		proxy.ServeHTTP(w, r)
	}))
	s := NewSettings("test", "tcp://"+address, WithTLS(*materialOf(ca, ca.Client(t))),
		WithHeaders(map[string]string{"X-Token": "hush"}), WithUserAgent("a client"))
	received, err := Receive(carry(t, s))
	assert.NilError(t, err)
	connection := connect(t, received)
	assert.Equal(t, <-seen, "hush of a client")
	_, err = connection.API.Info(t.Context())
	assert.NilError(t, err)
}

// TestCarryFaults carries settings that work only on this machine.
func TestCarryFaults(t *testing.T) {
	t.Parallel()
	dial := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("unused") }
	for host, options := range map[string][]Option{
		"ssh://me:secret@far.example":    {WithDialer(dial)},
		"ssh://me@far.example":           nil,
		"npipe:////./pipe/docker_engine": nil,
	} {
		data, err := NewSettings("test", host, options...).Carry()
		assert.ErrorContains(t, err, "cannot be used from a container", host)
		assert.Assert(t, data == nil && !strings.Contains(err.Error(), "secret"), "%v", err)
	}
}

// TestCarryIntoContainer refuses endpoints that do not work in a container.
func TestCarryIntoContainer(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"tcp://localhost:2375", "tcp://127.0.0.1:2376", "tcp://[::1]:2375"} {
		_, err := NewSettings("test", host).CarryIntoContainer()
		endpointtest.WantFault(t, err, EndpointIsLoopback, "would lead a container to itself", "phase reached: settings", host)
	}
	for _, host := range []string{"unix:///var/run/docker.sock", "ssh://far.example", "npipe:////./pipe/docker_engine"} {
		_, err := NewSettings("test", host).CarryIntoContainer()
		assert.ErrorContains(t, err, host)
	}
	secret, _ := secretSettings(t)
	data, err := NewSettings("test", "tcp://192.0.2.1:2376", WithTLS(*secret.use().tls)).CarryIntoContainer()
	assert.NilError(t, err)
	_, err = Receive(data)
	assert.NilError(t, err)
}

func TestReceiveFaults(t *testing.T) {
	t.Parallel()
	for data, sentence := range map[string]string{
		"":                            "not in the form",
		"{":                           "not in the form",
		`{"version":1,"key":"hush"}`:  "not in the form",
		`{"version":1,"tls":"hush"}`:  "not in the form",
		`{"version":2,"host":"tcp:"}`: "of version 2",
		`{"host":"tcp://192.0.2.1"}`:  "of version 0",
		`{"version":1}`:               "its host is of no use",
		`{"version":1,"host":"ssh://far.example"}`:            "its host is of no use",
		`{"version":1,"host":"npipe:////./pipe/hush"}`:        "its host is of no use",
		`{"version":1,"host":"tcp://192.0.2.1:1"} {"hush":1}`: "something follows",
	} {
		_, err := Receive([]byte(data))
		assert.ErrorContains(t, err, sentence, data)
		assert.Assert(t, !strings.Contains(err.Error(), "hush"), "%v", err)
	}
}

// FuzzReceive checks that data is either refused or carried again unchanged.
func FuzzReceive(f *testing.F) {
	f.Add([]byte(`{"version":1,"context":"c","host":"tcp://192.0.2.1:2376","tls":{"ca":"aHVzaA==","skipVerify":true},"headers":{"A":"b"}}`))
	f.Add([]byte(`{"version":1,"host":"unix:///var/run/docker.sock","apiVersion":"v1.41"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Receive(data)
		if err != nil {
			return
		}
		first := carry(t, s)
		again, err := Receive(first)
		assert.NilError(t, err)
		assert.Equal(t, string(carry(t, again)), string(first))
	})
}
