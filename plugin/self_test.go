//go:build linux

package plugin_test

import (
	"cmp"
	"context"
	"encoding/json"
	"os/exec"
	"slices"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// In a container with the engine's socket the plugin measures from that container, on every
// kind of engine. On the kinds that differ in how they share a network, it does so on the
// network of another container too, and on the host's network it counts as the host.
func TestSelf(t *testing.T) {
	t.Parallel()
	plugin, err := builtPlugin()
	assert.NilError(t, err)
	sharing := []enginetest.Kind{enginetest.Linux, enginetest.Desktop, enginetest.Rootless, enginetest.PodmanRootless}
	for _, kind := range enginetest.All() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			engine := enginetest.Get(t, kind)
			u := &user{t, engine, enginetest.CLIImage(t, engine, plugin)}
			u.createNetwork("nestprobe-self")
			u.start("nestprobe-self-job", "--network", "nestprobe-self")
			networks := map[string]string{"nestprobe-self-job": "own"}
			if slices.Contains(sharing, kind) {
				u.start("nestprobe-self-side", "--network", "container:nestprobe-self-job", "-v", "/etc/hostname:/mark:ro")
				networks["nestprobe-self-side"] = "shared"
			}
			for name, network := range networks {
				rep := u.run(name, "--network", "nestprobe-self")
				assert.Check(t, rep.OK, "%s: %+v", name, rep.Findings)
				assert.Check(t, is.DeepEqual(nameAndNetwork(rep.Self), []string{name, network}))
				assert.Check(t, is.DeepEqual(vantagesIn(rep), []string{"container:" + name}))
				kinds := []report.Kind{report.KindContainerName, report.KindContainerIP} // Podman 4.3 has no names
				assert.Check(t, len(rep.Best) == 1 && slices.Contains(kinds, rep.Best[0].Kind), "%s: %+v", name, rep.Best)
			}
			if !slices.Contains(sharing, kind) {
				return
			}
			u.start("nestprobe-self-host", "--network", "host")
			rep := u.run("nestprobe-self-host")
			assert.Check(t, is.DeepEqual(nameAndNetwork(rep.Self), []string{"nestprobe-self-host", "host"}))
			assert.Check(t, is.DeepEqual(vantagesIn(rep), []string{"host"}))
		})
	}
}

// user is somebody who works in containers of an engine.
type user struct {
	*testing.T

	engine *enginetest.Engine
	image  string
}

func (u *user) docker(ctx context.Context, args ...string) *exec.Cmd {
	return u.engine.Command(ctx, "docker", args...)
}

// createNetwork makes a network, which is removed after the containers.
func (u *user) createNetwork(name string) {
	u.Helper()
	out, err := u.docker(u.Context(), "network", "create", name).CombinedOutput()
	assert.NilError(u, err, "%s", out)
	u.Cleanup(func() { _ = u.docker(context.Background(), "network", "rm", name).Run() })
}

// engineSocket is the usual path of an engine's socket on its host.
const engineSocket = "/var/run/docker.sock"

// start starts a container that has the engine's socket, and the plugin.
func (u *user) start(name string, options ...string) {
	u.Helper()
	socket := cmp.Or(u.engine.Socket, engineSocket)
	if u.engine.Kind == enginetest.Desktop || u.engine.Kind == enginetest.DesktopGvproxy {
		socket = engineSocket // the path here is that of a forwarder
	}
	args := slices.Concat([]string{"run", "-d", "--name", name, "-v", socket + ":" + engineSocket}, options, []string{u.image})
	out, err := u.docker(u.Context(), args...).CombinedOutput()
	assert.NilError(u, err, "%s", out)
	u.Cleanup(func() { _ = u.docker(context.Background(), "rm", "-f", name).Run() })
}

// run measures in a container.
func (u *user) run(name string, options ...string) *report.Report {
	u.Helper()
	args := slices.Concat([]string{"exec", name, "docker", "nestprobe", "run", "--format", "json"}, options)
	out, _ := u.docker(u.Context(), args...).Output() // the exit status says less than the report
	rep := new(report.Report)
	assert.NilError(u, json.Unmarshal(out, rep), "%s", out)
	return rep
}

func nameAndNetwork(self *report.Self) []string {
	if self == nil {
		return nil
	}
	return []string{self.Name, self.Network}
}

// vantagesIn lists the vantages of a report's probes, each once.
func vantagesIn(rep *report.Report) []string {
	var vantages []string
	for _, p := range rep.Probes {
		if !slices.Contains(vantages, p.Vantage) {
			vantages = append(vantages, p.Vantage)
		}
	}
	return vantages
}
