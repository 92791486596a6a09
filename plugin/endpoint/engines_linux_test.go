package endpoint

import (
	"encoding/json"
	"os"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/endpointtest"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// TestEngines compares the description of every kind of engine with docker's.
func TestEngines(t *testing.T) {
	t.Parallel()
	products := map[enginetest.Kind]string{enginetest.Podman: "Podman Engine"}
	for _, kind := range enginetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			engine := enginetest.Get(t, kind)
			version := engine.Command(t.Context(), "docker", "version", "--format", "{{json .Server}}")
			out, err := version.Output()
			assert.NilError(t, err)
			var server struct{ Version, APIVersion, Os, Arch string }
			assert.NilError(t, json.Unmarshal(out, &server), "%s", out)

			got := onEngine(t, engine)
			assert.Equal(t, got.Error, "")
			product := products[kind]
			if product == "" {
				product = "Docker Engine"
			}
			assert.DeepEqual(t, got.Described.Engine, report.Engine{
				Product: product, Version: server.Version, APIVersion: server.APIVersion, OS: server.Os, Arch: server.Arch,
				Rootless: kind == enginetest.Rootless,
			})
			assert.Equal(t, got.Described.TLS, kind == enginetest.Toolbox)
			assert.Equal(t, got.Platform, server.Os+"/"+server.Arch)
			assert.Equal(t, got.Node, "", "no engine here is in a Swarm")
		})
	}
}

// onEngine resolves and connects where the clients of the engine are.
func onEngine(t *testing.T, engine *enginetest.Engine, args ...string) endpointtest.Outcome {
	t.Helper()
	self, err := os.Executable()
	assert.NilError(t, err)
	cmd := engine.Command(t.Context(), self, args...)
	return endpointtest.RunChild(t, cmd)
}

// TestToolbox connects to a dockerd on TCP with TLS, with the valid and invalid
// settings that users have.
func TestToolbox(t *testing.T) {
	t.Parallel()
	engine := enginetest.Get(t, enginetest.Toolbox)
	config := t.TempDir()
	engine.CreateContext(t, config, "toolbox")
	ca := endpointtest.NewAuthority(t, "another ca")
	withoutCert := t.TempDir()
	pem, err := os.ReadFile(engine.CertDir + "/ca.pem")
	assert.NilError(t, err)
	endpointtest.Write(t, withoutCert+"/ca.pem", pem)
	env := func(dir string) environment {
		return environment{"DOCKER_HOST": engine.Host, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": dir}
	}
	flags := func(dir string) []string {
		return []string{"-H", engine.Host, "--tlsverify", "--tlscacert", dir + "/ca.pem", "--tlscert", dir + "/cert.pem", "--tlskey", dir + "/key.pem"}
	}
	for name, test := range map[string]struct {
		env      environment
		args     []string
		cause    report.Cause
		sentence string
	}{
		"environment":        {env(engine.CertDir), nil, "", ""},
		"context":            {environment{"DOCKER_CONFIG": config, "DOCKER_CONTEXT": "toolbox"}, nil, "", ""},
		"flags":              {nil, flags(engine.CertDir), "", ""},
		"no TLS":             {environment{"DOCKER_HOST": engine.Host}, nil, connection.TLSRequired, "the client used plain HTTP"},
		"another CA":         {env(ca.Folder(t, ca.Client(t))), nil, connection.TLSUntrusted, "not signed by the endpoint's CA"},
		"no client cert":     {env(withoutCert), nil, connection.TLSCertPathMissing, "there is none at " + withoutCert + "/cert.pem"},
		"unverified, no key": {environment{"DOCKER_HOST": engine.Host}, []string{"--tls", "--tlscacert", withoutCert + "/ca.pem"}, connection.TLSClientCertRejected, "the engine requires a client certificate"},
		"no folder":          {env("/nonexistent"), nil, connection.TLSCertPathMissing, "does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := endpointtest.InChild(t, test.env, nil, test.args...)
			out, err := runDocker(t, test.env, append(test.args, "version", "--format", "{{.Server.Version}}")...)
			if test.cause != "" {
				assert.Assert(t, err != nil, "docker works: %s", out)
				endpointtest.WantFault(t, got.Fault(), test.cause, test.sentence)
				return
			}
			assert.NilError(t, err, out)
			assert.Equal(t, got.Error, "")
			assert.Equal(t, got.Described.Engine.Version, out)
			assert.Assert(t, got.Described.TLS)
		})
	}
}
