package endpoint

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/docker/cli/cli/context"
	"github.com/docker/cli/cli/context/docker"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/endpointtest"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// plain is an endpoint without TLS, as the docker CLI resolves it from DOCKER_HOST.
func plain(t *testing.T, written, host string) *Endpoint {
	t.Helper()
	resolved := docker.Endpoint{EndpointMeta: docker.EndpointMeta{Host: host}}
	e, err := newEndpoint(resolved, nil, origin{context: "default", setting: "DOCKER_HOST", written: written})
	assert.NilError(t, err)
	return e
}

// commandsOf are the commands of a fault, in one line.
func commandsOf(t *testing.T, err error) string {
	t.Helper()
	return strings.Join(endpointtest.FaultOf(t, err).Commands, "; ")
}

// own is an address of this machine's loopback network for a test of its own, since it
// needs docker's ports.
func own(test byte) string {
	return net.IPv4(127, byte(os.Getpid()>>8), byte(os.Getpid()), test).String()
}

// serverFor requires clients of a CA, and has its certificate for an address.
func serverFor(t *testing.T, ca *endpointtest.Authority, address string) *tls.Config {
	t.Helper()
	named := func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP(address)} }
	return &tls.Config{Certificates: ca.Server(t, named).TLS(t), ClientCAs: ca.Pool(), ClientAuth: tls.RequireAndVerifyClientCert}
}

// TestNeighbour has an engine at the other one of docker's ports.
func TestNeighbour(t *testing.T) {
	t.Parallel()
	ca := endpointtest.NewAuthority(t, "ca")
	client := ca.Client(t)
	material := context.TLSData{CA: ca.PEM, Cert: client.Cert, Key: client.Key}

	t.Run("2376 instead of 2375", func(t *testing.T) {
		t.Parallel()
		host := own(11)
		serve(t, host+":2376", serverFor(t, ca, host))
		_, err := plain(t, "tcp://"+host+":2375", "tcp://"+host+":2375").Connect(t.Context())
		endpointtest.WantFault(t, err, connection.EngineUnreachable, "refused", "port 2376 of the same host answers in TLS", "phase reached: connect")
		assert.Equal(t, commandsOf(t, err), "export DOCKER_HOST=tcp://"+host+":2376 DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=FOLDER")
	})
	t.Run("2376 instead of 2375, with TLS files", func(t *testing.T) {
		t.Parallel()
		host := own(12)
		serve(t, host+":2376", serverFor(t, ca, host))
		_, err := secured(t, "tcp://"+host+":2375", material).Connect(t.Context())
		endpointtest.WantFault(t, err, connection.EngineUnreachable, "refused", "an engine answers at tcp://"+host+":2376")
		assert.Equal(t, commandsOf(t, err), "export DOCKER_HOST=tcp://"+host+":2376")
	})
	t.Run("2375 instead of 2376", func(t *testing.T) {
		t.Parallel()
		host := own(13)
		serve(t, host+":2375", nil)
		_, err := secured(t, "tcp://"+host+":2376", material).Connect(t.Context())
		endpointtest.WantFault(t, err, connection.EngineUnreachable, "refused", "port 2375 of the same host answers without TLS")
		assert.Equal(t, commandsOf(t, err), "unset DOCKER_TLS_VERIFY DOCKER_TLS; export DOCKER_HOST=tcp://"+host+":2375")
	})
	t.Run("nothing at both", func(t *testing.T) {
		t.Parallel()
		_, err := plain(t, "tcp://"+own(14)+":2375", "tcp://"+own(14)+":2375").Connect(t.Context())
		endpointtest.WantFault(t, err, connection.EngineUnreachable, "refused")
		assert.Assert(t, !strings.Contains(strings.Join(endpointtest.FaultOf(t, err).Evidence, " "), "2376"))
	})
	t.Run("no engine at 2375", func(t *testing.T) {
		t.Parallel()
		host := own(15)
		serve(t, host+":2375", nil, func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) })
		_, err := secured(t, "tcp://"+host+":2376", material).Connect(t.Context())
		endpointtest.WantFault(t, err, connection.EngineUnreachable, "refused")
		assert.Assert(t, !strings.Contains(strings.Join(endpointtest.FaultOf(t, err).Evidence, " "), "2375"))
	})
}

// TestMalformed has an engine where the text was meant to lead, or none.
func TestMalformed(t *testing.T) {
	t.Parallel()
	engine := serve(t, "127.0.0.1:0", nil)
	closed := endpointtest.ClosedPort(t)
	for name, test := range map[string]struct {
		written, host string
		cause         report.Cause
		evidence      string
		commands      string
	}{
		"an engine is there": {
			"tcp:/" + engine, "tcp://127.0.0.1:1/" + engine, connection.EndpointMalformed,
			"an engine answers at tcp://" + engine, "export DOCKER_HOST=tcp://" + engine,
		},
		"none is there": {
			"tcp:/" + closed, "tcp://127.0.0.1:1/" + closed, connection.EndpointMalformed,
			"tried tcp://" + closed + ": connection to " + closed + " refused", "export DOCKER_HOST=tcp://" + closed,
		},
		"a path, and an engine without it": {
			"tcp://" + engine + "/v1.41", "tcp://" + engine + "/v1.41", connection.EndpointMalformed,
			"GET /version below /v1.41: not found", "export DOCKER_HOST=tcp://" + engine,
		},
		"a path, and no engine": {
			"tcp://" + closed + "/v1.41", "tcp://" + closed + "/v1.41", connection.EngineUnreachable,
			"has the path /v1.41 after host and port", "",
		},
		"ssh, which is not tried": {
			"me@127.0.0.1", "tcp://127.0.0.1:1", connection.EndpointMalformed,
			"docker takes it for tcp://127.0.0.1:1", "export DOCKER_HOST=ssh://me@127.0.0.1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := plain(t, test.written, test.host).Connect(t.Context())
			endpointtest.WantFault(t, err, test.cause, "", test.evidence)
			assert.Equal(t, commandsOf(t, err), test.commands)
		})
	}
}

// A setting is named in the advice as the user has written it.
func TestAdvice(t *testing.T) {
	t.Parallel()
	for want, from := range map[string]origin{
		"set DOCKER_HOST to tcp://x":        {setting: "DOCKER_HOST"},
		"use -H tcp://x":                    {setting: "-H"},
		`give context "c" the host tcp://x`: {context: "c"},
	} {
		assert.Equal(t, from.advice("tcp://x"), want)
	}
}

// TestSSHServer has an ssh server at the endpoint, which speaks first.
func TestSSHServer(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	assert.NilError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				_, _ = conn.Write([]byte("SSH-2.0-test\r\n"))
				_, _ = conn.Read(make([]byte, 1)) // until the client has sent something or ends
				_ = conn.Close()
			})
		}
	})
	t.Cleanup(func() {
		assert.NilError(t, listener.Close())
		serving.Wait()
	})
	address := listener.Addr().String()
	_, err = plain(t, address, "tcp://"+address).Connect(t.Context())
	endpointtest.WantFault(t, err, connection.EngineUnreachable, "", "SSH-2.0-test")
	assert.Equal(t, commandsOf(t, err), "export DOCKER_HOST=ssh://USER@"+address)
}

// TestProxied has a proxy that is down before an engine that is not. Proxies of the
// environment are read once in a process, so each case has its own.
func TestProxied(t *testing.T) {
	t.Parallel()
	_, port, err := net.SplitHostPort(serve(t, "0.0.0.0:0", nil))
	assert.NilError(t, err)
	closed := endpointtest.ClosedPort(t)
	for name, test := range map[string]struct {
		env      environment
		cause    report.Cause
		commands string // empty for an engine that is reached
	}{
		"upper case":         {environment{"HTTP_PROXY": "http://" + closed}, connection.HTTPProxyInterferes, `export NO_PROXY="0.0.0.0"`},
		"with other entries": {environment{"http_proxy": "http://" + closed, "no_proxy": "x"}, connection.HTTPProxyInterferes, `export no_proxy="$no_proxy,0.0.0.0"`},
		"covered":            {environment{"http_proxy": "http://" + closed, "no_proxy": "x,0.0.0.0"}, "", ""},
		"for https only":     {environment{"HTTPS_PROXY": "http://" + closed}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Go has no proxy for a loopback address, but for one that leads there.
			test.env["DOCKER_HOST"] = fmt.Sprintf("tcp://0.0.0.0:%s", port)
			got := endpointtest.InChild(t, test.env, nil)
			if test.cause == "" {
				assert.Assert(t, got.Finding == nil, got.Error)
				return
			}
			endpointtest.WantFault(t, got.Fault(), test.cause, "does not lead to the engine", "without the proxy, an engine answers")
			assert.Equal(t, strings.Join(got.Finding.Commands, ";"), test.commands)
		})
	}
}
