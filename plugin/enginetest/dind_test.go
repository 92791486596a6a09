package enginetest_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/go-connections/tlsconfig"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// dindPlain starts a nested engine without TLS. Its bridge has none of the outer
// engine's addresses.
var dindPlain = []string{
	"-H", "tcp://0.0.0.0:2375", "-H", "unix:///var/run/docker.sock", "--tls=false", "--bip", "10.231.200.1/24",
}

// The image starts an engine with every form of arguments that docker:dind takes, and
// that engine runs containers.
func TestDindImage(t *testing.T) {
	t.Parallel()
	withoutTLS := []string{"DOCKER_TLS_CERTDIR="}
	for name, test := range map[string]struct {
		kind enginetest.Kind
		args []string
		env  []string
		port string
	}{
		"arguments":   {enginetest.Engine28_5, dindPlain, nil, "2375"},
		"no TLS":      {enginetest.Engine28_5, nil, withoutTLS, "2375"},
		"an option":   {enginetest.Engine28_5, []string{"--bip=10.231.200.1/24"}, withoutTLS, "2375"},
		"TLS":         {enginetest.Engine28_5, nil, nil, "2376"},
		"the command": {enginetest.Engine28_5, append([]string{"dockerd"}, dindPlain...), nil, "2375"},
		"on 26.1":     {enginetest.Engine26_1, dindPlain, nil, "2375"},
		"on Podman":   {enginetest.Podman, dindPlain, nil, "2375"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			engine := enginetest.Get(t, test.kind)
			api := engine.Client(t)
			config := &container.Config{Image: enginetest.DindImage(t, engine), Cmd: test.args, Env: test.env}
			id := start(t, api, config, &container.HostConfig{Privileged: true})
			inspected, err := api.ContainerInspect(t.Context(), id)
			assert.NilError(t, err)
			nested := nestedEngine{t: t, outer: engine}
			for _, network := range inspected.NetworkSettings.Networks {
				nested.address = network.IPAddress
			}
			nested.flags = []string{"-H", "tcp://" + nested.address + ":" + test.port}
			if test.port == "2376" {
				nested.flags = append(nested.flags, nested.tlsFlags(id)...)
			}
			nested.await(id)
			nested.runServer(enginetest.TestImage(t, engine))
		})
	}
}

// A program that is named instead of options is run, as docker:dind does.
func TestDindRunsAnotherProgram(t *testing.T) {
	t.Parallel()
	engine := enginetest.Get(t, enginetest.Engine28_5)
	status, log := runToEnd(t, engine, enginetest.DindImage(t, engine), "containerd", "--version")
	assert.Equal(t, status, int64(0), log)
	assert.Assert(t, strings.HasPrefix(log, "containerd "), log)
}

// nestedEngine is reached by the clients of the outer one.
type nestedEngine struct {
	t       *testing.T
	outer   *enginetest.Engine
	address string
	flags   []string
}

func (n nestedEngine) docker(args ...string) (string, error) {
	out, err := n.outer.Command(n.t.Context(), "docker", append(n.flags, args...)...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (n nestedEngine) await(id string) {
	n.t.Helper()
	poll.WaitOn(n.t, func(poll.LogT) poll.Result {
		out, err := n.docker("version", "--format", "{{.Server.Version}}")
		if err == nil {
			return poll.Success()
		}
		state, inspectErr := n.outer.Client(n.t).ContainerInspect(n.t.Context(), id)
		if inspectErr != nil || !state.State.Running {
			log, _ := n.outer.Command(n.t.Context(), "docker", "logs", "--tail", "20", id).CombinedOutput()
			return poll.Error(errors.New("the nested engine ended: " + string(log)))
		}
		return poll.Continue("%s", out)
	}, poll.WithTimeout(time.Minute))
}

// tlsFlags copies the client's certificates out of the container, which writes them
// at its start, one after the other.
func (n nestedEngine) tlsFlags(id string) []string {
	n.t.Helper()
	dir := n.t.TempDir()
	files := tlsconfig.Options{CAFile: dir + "/ca.pem", CertFile: dir + "/cert.pem", KeyFile: dir + "/key.pem", ExclusiveRootPools: true}
	poll.WaitOn(n.t, func(poll.LogT) poll.Result {
		out, err := n.outer.Command(n.t.Context(), "docker", "cp", id+":/certs/client/.", dir).CombinedOutput()
		if err != nil {
			return poll.Continue("%s", out)
		}
		if _, err := tlsconfig.Client(files); err != nil {
			return poll.Continue("%v", err)
		}
		return poll.Success()
	}, poll.WithTimeout(time.Minute))
	return []string{"--tlsverify", "--tlscacert", files.CAFile, "--tlscert", files.CertFile, "--tlskey", files.KeyFile}
}

// runServer copies an image to the nested engine, runs it, and checks that its
// published port is reached at that engine's address.
func (n nestedEngine) runServer(ref string) {
	n.t.Helper()
	archive := n.t.TempDir() + "/image.tar"
	out, err := n.outer.Command(n.t.Context(), "docker", "save", "-o", archive, ref).CombinedOutput()
	assert.NilError(n.t, err, "%s", out)
	loaded, err := n.docker("load", "-i", archive)
	assert.NilError(n.t, err, loaded)
	ref = strings.TrimPrefix(loaded, "Loaded image: ") // Podman puts a host in front
	id, err := n.docker("run", "-d", "-p", "8080:8080", ref)
	assert.NilError(n.t, err, id)
	got, _ := n.outer.Command(n.t.Context(), enginetest.TestProgram(n.t), "--get", "http://"+n.address+":8080/", "--get-until", "200 ok").Output()
	assert.Equal(n.t, strings.TrimSpace(string(got)), "200 ok")
	_, err = n.docker("rm", "-f", "-v", id)
	assert.NilError(n.t, err)
}
