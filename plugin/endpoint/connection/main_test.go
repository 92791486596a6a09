package connection

import (
	"context"
	"testing"
	"time"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/endpointtest"
)

type environment = endpointtest.Environment

func TestMain(m *testing.M) { endpointtest.Main(m, try) }

// try connects with the settings of the environment.
func try(ctx context.Context, _ []string) endpointtest.Outcome {
	var result endpointtest.Outcome
	settings, err := FromEnvironment()
	if err != nil {
		return result.Failed(err)
	}
	result.Endpoint = resolved(settings)
	connection, err := Open(ctx, settings)
	if err != nil {
		return result.Failed(err)
	}
	defer connection.Close()
	described, err := connection.Describe(ctx)
	result.Described, result.Node = described.Endpoint, described.NodeAddress
	return result.Failed(err)
}

func resolved(s Settings) endpointtest.Endpoint {
	return endpointtest.Endpoint{Context: s.Context, Host: s.Host, Transport: string(s.Transport), TLS: s.TLS}
}

func unixSettings(path string) Settings { return NewSettings("test", "unix://"+path) }

func tcpSettings(address string, material *TLS) Settings {
	if material == nil {
		return NewSettings("test", "tcp://"+address)
	}
	return NewSettings("test", "tcp://"+address, WithTLS(*material))
}

// materialOf is what a client has that trusts ca.
func materialOf(ca *endpointtest.Authority, client endpointtest.Pair) *TLS {
	return &TLS{CA: ca.PEM, Cert: client.Cert, Key: client.Key}
}

// connectFails connects to an endpoint that must not work.
func connectFails(t *testing.T, settings Settings) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // only guards against hanging
	defer cancel()
	connection, err := Open(ctx, settings)
	if err == nil {
		connection.Close()
		t.Fatalf("connected to %s", settings)
	}
	return err
}

func connect(t *testing.T, settings Settings) *Connection {
	t.Helper()
	connection, err := Open(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(connection.Close)
	return connection
}
