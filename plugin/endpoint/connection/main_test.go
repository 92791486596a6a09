package connection

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/endpointtest"
)

type environment = endpointtest.Environment

func TestMain(m *testing.M) { endpointtest.Main(m, try) }

// readFile makes a child read the file that follows instead of connecting.
const readFile = "read"

// try connects with the settings that it receives on stdin, as the agent does.
func try(ctx context.Context, args []string) endpointtest.Outcome {
	var result endpointtest.Outcome
	if len(args) > 1 && args[0] == readFile {
		_, err := os.ReadFile(args[1])
		return result.Failed(FilesFault(err))
	}
	data, err := io.ReadAll(os.Stdin)
	if err != nil {
		return result.Failed(err)
	}
	settings, err := Receive(data)
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

// connectInChild carries the settings into a child process, which connects.
// adjust may change how the process is started.
func connectInChild(t *testing.T, settings Settings, env environment, adjust func(*exec.Cmd)) endpointtest.Outcome {
	t.Helper()
	return endpointtest.InChild(t, env, func(cmd *exec.Cmd) {
		cmd.Stdin = bytes.NewReader(carry(t, settings))
		if adjust != nil {
			adjust(cmd)
		}
	})
}

// readFolder reads the TLS files of a folder.
func readFolder(t *testing.T, dir string) TLS {
	t.Helper()
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, name))
		assert.NilError(t, err)
		return data
	}
	return TLS{CA: read("ca.pem"), Cert: read("cert.pem"), Key: read("key.pem")}
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

// materialOf is the TLS material of a client that trusts ca.
func materialOf(ca *endpointtest.Authority, client endpointtest.Pair) *TLS {
	return &TLS{CA: ca.PEM, Cert: client.Cert, Key: client.Key}
}

// connectFails connects to an endpoint, which must fail.
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
