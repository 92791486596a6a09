package endpoint

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/docker/client"
	"github.com/opencontainers/go-digest"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/endpointtest"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// TestResolve compares with the real docker command, with the same configuration
// folder, environment and flags.
func TestResolve(t *testing.T) {
	t.Parallel()
	ca := endpointtest.NewAuthority(t, "ca")
	certs := ca.Folder(t, ca.Client(t))
	caOnly := ca.Folder(t, endpointtest.Pair{})
	config := t.TempDir()
	create := func(name, settings string) {
		t.Helper()
		out, err := runDocker(t, environment{"DOCKER_CONFIG": config}, "context", "create", name, "--docker", settings)
		assert.NilError(t, err, out)
	}
	create("local", "host=unix:///run/other.sock")
	create("toolbox", fmt.Sprintf("host=tcp://192.0.2.1:2376,ca=%[1]s/ca.pem,cert=%[1]s/cert.pem,key=%[1]s/key.pem", certs))
	create("careless", "host=tcp://192.0.2.1:2376,skip-tls-verify=true")
	create("far", "host=ssh://me@192.0.2.1:2222")
	create("bare", "host=tcp://192.0.2.1")
	endpointtest.Write(t, filepath.Join(config, "config.json"), []byte(`{"currentContext":"toolbox"}`))

	plain := t.TempDir()
	for name, test := range map[string]struct {
		env       environment
		args      []string
		context   string
		host      string
		transport connection.Transport
		tls       bool
	}{
		"default":                    {environment{"DOCKER_CONFIG": plain}, nil, "default", client.DefaultDockerHost, connection.Unix, false},
		"currentContext":             {nil, nil, "toolbox", "tcp://192.0.2.1:2376", connection.TCP, true},
		"--context":                  {nil, []string{"--context", "local"}, "local", "unix:///run/other.sock", connection.Unix, false},
		"-c":                         {environment{"DOCKER_HOST": "tcp://1.1.1.1:1"}, []string{"-c", "far"}, "far", "ssh://me@192.0.2.1:2222", connection.SSH, false},
		"DOCKER_CONTEXT":             {environment{"DOCKER_CONTEXT": "local"}, nil, "local", "unix:///run/other.sock", connection.Unix, false},
		"DOCKER_CONTEXT is default":  {environment{"DOCKER_CONTEXT": "default"}, nil, "default", client.DefaultDockerHost, connection.Unix, false},
		"DOCKER_HOST wins":           {environment{"DOCKER_HOST": "tcp://192.0.2.2:2375", "DOCKER_CONTEXT": "local"}, nil, "default", "tcp://192.0.2.2:2375", connection.TCP, false},
		"-H wins":                    {environment{"DOCKER_HOST": "tcp://192.0.2.2:2375"}, []string{"-H", "tcp://192.0.2.3:2375"}, "default", "tcp://192.0.2.3:2375", connection.TCP, false},
		"-H without a port":          {nil, []string{"-H", "tcp://192.0.2.3"}, "default", "tcp://192.0.2.3:2375", connection.TCP, false},
		"-H without a scheme":        {nil, []string{"-H", "192.0.2.3:1"}, "default", "tcp://192.0.2.3:1", connection.TCP, false},
		"-H with a path":             {nil, []string{"-H", "tcp://192.0.2.3:1/base"}, "default", "tcp://192.0.2.3:1/base", connection.TCP, false},
		"-H with IPv6":               {nil, []string{"-H", "tcp://[2001:db8::1]:2375"}, "default", "tcp://[2001:db8::1]:2375", connection.TCP, false},
		"-H unix without a path":     {nil, []string{"-H", "unix://"}, "default", "unix:///var/run/docker.sock", connection.Unix, false},
		"-H npipe":                   {nil, []string{"-H", "npipe:////./pipe/docker_engine"}, "default", "npipe:////./pipe/docker_engine", connection.Npipe, false},
		"-H ssh":                     {nil, []string{"-H", "ssh://me@192.0.2.1"}, "default", "ssh://me@192.0.2.1", connection.SSH, false},
		"TLS by environment":         {environment{"DOCKER_HOST": "tcp://192.0.2.2:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": certs}, nil, "default", "tcp://192.0.2.2:2376", connection.TCP, true},
		"TLS without verifying":      {environment{"DOCKER_HOST": "tcp://192.0.2.2:2376", "DOCKER_TLS": "1", "DOCKER_CERT_PATH": certs}, nil, "default", "tcp://192.0.2.2:2376", connection.TCP, true},
		"TLS, only ca.pem":           {environment{"DOCKER_HOST": "tcp://192.0.2.2:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": caOnly}, nil, "default", "tcp://192.0.2.2:2376", connection.TCP, true},
		"TLS by flags":               {nil, []string{"-H", "tcp://192.0.2.2:2376", "--tlsverify", "--tlscacert", certs + "/ca.pem"}, "default", "tcp://192.0.2.2:2376", connection.TCP, true},
		"TLS without a host":         {environment{"DOCKER_CONTEXT": "default"}, []string{"--tlsverify", "--tlscacert", certs + "/ca.pem"}, "default", "tcp://localhost:2376", connection.TCP, true},
		"TLS settings with a socket": {environment{"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": certs}, []string{"-H", "unix:///run/other.sock"}, "default", "unix:///run/other.sock", connection.Unix, false},
		"a path without certs, unused": {environment{"DOCKER_HOST": "unix:///run/other.sock", "DOCKER_CERT_PATH": "/nonexistent"}, nil,
			"default", "unix:///run/other.sock", connection.Unix, false},
		"skip-tls-verify":                    {nil, []string{"--context", "careless"}, "careless", "tcp://192.0.2.1:2376", connection.TCP, true},
		"a host without a port in a context": {nil, []string{"--context", "bare"}, "bare", "tcp://192.0.2.1", connection.TCP, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := environment{"DOCKER_CONFIG": config}
			for variable, value := range test.env {
				env[variable] = value
			}
			// The addresses are documentation's (RFC 5737), so nothing is dialled.
			got := resolveInChild(t, env, test.args...)
			assert.Equal(t, got.Error, "")
			assert.Equal(t, got.Endpoint, endpointtest.Endpoint{
				Context: test.context, Host: test.host, Transport: string(test.transport), TLS: test.tls,
			})

			out, err := runDocker(t, env, append(test.args, "context", "inspect", "--format", "{{json .}}")...)
			assert.NilError(t, err, out)
			var docker struct {
				Name      string
				Endpoints struct {
					Docker struct{ Host string } `json:"docker"`
				}
			}
			assert.NilError(t, json.Unmarshal([]byte(out), &docker), out)
			assert.Equal(t, got.Endpoint.Context, docker.Name)
			assert.Equal(t, got.Endpoint.Host, docker.Endpoints.Docker.Host)
		})
	}
}

// resolveInChild resolves in a child process, without connecting.
func resolveInChild(t *testing.T, env environment, args ...string) endpointtest.Outcome {
	t.Helper()
	env[resolveMark] = "1"
	defer delete(env, resolveMark)
	return endpointtest.InChild(t, env, nil, args...)
}

func TestSettingsFaults(t *testing.T) {
	t.Parallel()
	ca := endpointtest.NewAuthority(t, "ca")
	caOnly := ca.Folder(t, endpointtest.Pair{})
	empty := t.TempDir()
	config := t.TempDir()
	out, err := runDocker(t, environment{"DOCKER_CONFIG": config}, "context", "create", "present", "--docker", "host=unix:///run/other.sock")
	assert.NilError(t, err, out)
	spoilt := t.TempDir()
	out, err = runDocker(t, environment{"DOCKER_CONFIG": spoilt}, "context", "create", "broken", "--docker", "host=unix:///run/other.sock")
	assert.NilError(t, err, out)
	breakContext(t, spoilt, "broken")
	chosen, moved, hollow, bare := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	endpointtest.Write(t, filepath.Join(chosen, "config.json"), []byte(`{"currentContext": "absent"}`))
	writeContext(t, moved, "another", `{"Name": "present", "Endpoints": {"docker": {"Host": "unix:///run/other.sock"}}}`)
	writeContext(t, hollow, "present", `{"Name": "present"}`)
	writeContext(t, bare, "present", `{"Name": "present", "Endpoints": {"docker": {"Host": "127.0.0.1:1"}}}`)
	home := t.TempDir()
	writeContext(t, filepath.Join(home, ".docker"), "athome", `{"Name": "athome"}`)
	badCA := t.TempDir()
	endpointtest.Write(t, filepath.Join(badCA, "ca.pem"), []byte("no certificate"))
	mixed := ca.Folder(t, endpointtest.Pair{Cert: ca.Client(t).Cert, Key: ca.Client(t).Key})

	remote := func(dir string) environment {
		return environment{"DOCKER_HOST": "tcp://127.0.0.1:1", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": dir}
	}
	for name, test := range map[string]struct {
		env      environment
		args     []string
		cause    report.Cause
		sentence string
		evidence []string
	}{
		"no such context by flag": {nil, []string{"--context", "absent"}, connection.ContextBroken,
			`there is no context "absent"`, []string{"from --context", "contexts that exist: default, present"}},
		"no such context by variable": {environment{"DOCKER_CONTEXT": "absent"}, nil, connection.ContextBroken,
			`there is no context "absent"`, []string{"from DOCKER_CONTEXT"}},
		"no such context by configuration": {environment{"DOCKER_CONFIG": chosen}, nil, connection.ContextBroken,
			`there is no context "absent"`, []string{"from currentContext in " + chosen}},
		"context of the home, with another configuration": {environment{"HOME": home}, []string{"--context", "athome"}, connection.ContextBroken,
			`use the configuration that has it`, []string{home + "/.docker has this context"}},
		"context in the folder of another name": {environment{"DOCKER_CONFIG": moved}, []string{"--context", "present"}, connection.ContextBroken,
			`there is no context "present"`, []string{"its folder is that of another name"}},
		"context without an endpoint": {environment{"DOCKER_CONFIG": hollow}, []string{"--context", "present"}, connection.ContextBroken,
			"has no endpoint of Docker", []string{"cannot find docker endpoint in context"}},
		"context whose host has no scheme": {environment{"DOCKER_CONFIG": bare}, []string{"--context", "present"}, connection.EndpointMalformed,
			`the host 127.0.0.1:1 of context "present" has no scheme`, []string{"tried tcp://127.0.0.1:1"}},
		"broken context": {environment{"DOCKER_CONFIG": spoilt}, []string{"--context", "broken"}, connection.ContextBroken,
			`the context "broken" cannot be used`, []string{"reading it: "}},
		"bad host": {environment{"DOCKER_HOST": "gopher://x"}, nil, connection.EndpointMalformed,
			"has the scheme gopher", []string{"docker says: invalid bind address format: gopher://x"}},
		"socket without a scheme": {environment{"DOCKER_HOST": "/nonexistent/docker.sock"}, nil, connection.EndpointMalformed,
			"has no unix:// before the path of a socket", []string{"docker takes it for tcp://localhost:2375/nonexistent/docker.sock"}},
		"no folder": {remote("/nonexistent/certs"), nil, connection.TLSCertPathMissing,
			"/nonexistent/certs, does not exist", []string{"DOCKER_CERT_PATH=/nonexistent/certs", "no folder: "}},
		"no ca.pem": {remote(empty), nil, connection.TLSCertPathMissing,
			"ca.pem does not exist", []string{empty}},
		"no file of a flag": {environment{"DOCKER_HOST": "tcp://127.0.0.1:1"}, []string{"--tlsverify", "--tlscacert", caOnly + "/ca.pem", "--tlskey", "/nonexistent.pem"},
			connection.TLSCertPathMissing, "/nonexistent.pem does not exist", nil},
		"bad CA":                     {remote(badCA), nil, connection.EngineUnreachable, "ca.pem seems invalid", nil},
		"key of another certificate": {remote(mixed), nil, connection.EngineUnreachable, "private key does not match", nil},
		"bad ssh address":            {nil, []string{"-H", "ssh://me:secret@127.0.0.1"}, connection.EndpointMalformed, "has a password", nil},
		"npipe here":                 {nil, []string{"-H", "npipe:////./pipe/docker_engine"}, connection.EndpointMalformed, "is a named pipe of Windows", nil},
		"bad headers":                {environment{"DOCKER_CUSTOM_HEADERS": "token"}, nil, connection.EngineUnreachable, "DOCKER_CUSTOM_HEADERS cannot be used, field 1", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := environment{"DOCKER_CONFIG": config}
			for variable, value := range test.env {
				env[variable] = value
			}
			got := endpointtest.InChild(t, env, nil, test.args...)
			assert.Assert(t, !strings.Contains(got.Error+strings.Join(got.Finding.Evidence, " "), "secret"))
			endpointtest.WantFault(t, got.Fault(), test.cause, test.sentence, test.evidence...)
			out, err := runDocker(t, env, append(test.args, "version")...)
			assert.Assert(t, err != nil, "docker works with these settings: %s", out)
		})
	}
}

// writeContext writes metadata into the folder of a context.
func writeContext(t *testing.T, config, name, metadata string) {
	t.Helper()
	endpointtest.Write(t, filepath.Join(config, "contexts", "meta", digest.FromString(name).Encoded(), metadataFile), []byte(metadata))
}

// breakContext writes invalid metadata of a context.
func breakContext(t *testing.T, config, name string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(config, "contexts", "meta", "*", "meta.json"))
	assert.NilError(t, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		assert.NilError(t, err)
		var meta struct{ Name string }
		assert.NilError(t, json.Unmarshal(data, &meta))
		if meta.Name == name {
			endpointtest.Write(t, file, []byte("{"))
			return
		}
	}
	t.Fatalf("no context %s", name)
}

// TestHeaders compares the headers with those of docker's client.
func TestHeaders(t *testing.T) {
	seen := make(chan http.Header, 8)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header
		w.Header().Set("Api-Version", "1.41")
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"Version":"1"}`))
	}))
	t.Cleanup(server.Close)
	config := t.TempDir()
	endpointtest.Write(t, filepath.Join(config, "config.json"), []byte(`{"HttpHeaders":{"X-File":"file"}}`))
	for name, test := range map[string]struct {
		variable string
		want     map[string]string
	}{
		"configuration file": {"", map[string]string{"X-File": "file", "X-Env": ""}},
		"environment":        {`x-env="a,b"`, nil},
		"environment, CSV":   {`"x-env=a,b",x-more= c `, map[string]string{"X-File": "", "X-Env": "a,b", "X-More": "c"}},
	} {
		t.Run(name, func(t *testing.T) {
			env := environment{"DOCKER_CONFIG": config, "DOCKER_HOST": "tcp://" + server.Listener.Addr().String(), "DOCKER_CUSTOM_HEADERS": test.variable}
			got := endpointtest.InChild(t, env, nil)
			out, err := runDocker(t, env, "version")
			if test.want == nil {
				assert.Assert(t, err != nil && got.Error != "", "%s: %s", got.Error, out)
				return
			}
			assert.NilError(t, err, out)
			assert.Equal(t, got.Error, "")
			for len(seen) > 0 {
				header := <-seen
				for key, value := range test.want {
					assert.Equal(t, header.Get(key), value, "%v", header)
				}
			}
		})
	}
}
