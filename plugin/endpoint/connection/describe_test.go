package connection

import (
	"strings"
	"testing"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/api/types/system"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// TestDescribe describes engines that cannot run here. The answers are as their
// vendors document them.
func TestDescribe(t *testing.T) {
	t.Parallel()
	components := func(name string) []types.ComponentVersion { return []types.ComponentVersion{{Name: name}} }
	platform := func(name string) (p struct{ Name string }) { p.Name = name; return p }
	for name, test := range map[string]struct {
		version types.Version
		info    system.Info
		said    headers
		want    report.Engine
	}{
		"Docker Desktop": {
			types.Version{Platform: platform("Docker Desktop 4.30.0 (149282)"), Components: components("Engine"), Version: "26.1.1", APIVersion: "1.45", Os: "linux", Arch: "arm64"},
			system.Info{OperatingSystem: "Docker Desktop", SecurityOptions: []string{"name=seccomp,profile=unconfined"}},
			headers{},
			report.Engine{Product: "Docker Desktop", Version: "26.1.1", APIVersion: "1.45", OS: "linux", Arch: "arm64", Desktop: true},
		},
		"Docker's own build": {
			types.Version{Platform: platform("Docker Engine - Community"), Components: components("Engine"), Version: "27.0.3"},
			system.Info{Architecture: "x86_64"},
			headers{},
			report.Engine{Product: "Docker Engine", Version: "27.0.3", Arch: "amd64"},
		},
		"a vendor's build": {
			types.Version{Platform: platform("Mirantis Container Runtime"), Components: components("Engine"), Version: "23.0"},
			system.Info{Architecture: "aarch64"},
			headers{},
			report.Engine{Product: "Mirantis Container Runtime", Version: "23.0", Arch: "arm64"},
		},
		"before components": {
			types.Version{Version: "17.03.0-ce", Arch: "amd64"}, system.Info{}, headers{},
			report.Engine{Product: "Docker Engine", Version: "17.03.0-ce", Arch: "amd64"},
		},
		"rootless": {
			types.Version{Components: components("Engine"), Version: "1", Arch: "arm"},
			system.Info{SecurityOptions: []string{"name=seccomp,profile=builtin", "name=rootless", "name=cgroupns"}},
			headers{},
			report.Engine{Product: "Docker Engine", Version: "1", Arch: "arm", Rootless: true},
		},
		"not rootless": {
			types.Version{Components: components("Engine"), Version: "1"},
			system.Info{SecurityOptions: []string{"name=rootlesser", "rootless"}, Architecture: "armv7l"},
			headers{},
			report.Engine{Product: "Docker Engine", Version: "1", Arch: "arm"},
		},
		"only headers of Docker": {
			types.Version{}, system.Info{}, headers{"Docker/20.10.24+dfsg1 (linux)", "linux"},
			report.Engine{Product: "Docker Engine", Version: "20.10.24+dfsg1", OS: "linux"},
		},
		"only headers of Podman": {
			types.Version{}, system.Info{}, headers{"Libpod/4.3.1 (linux)", ""},
			report.Engine{Product: "Podman Engine", Version: "4.3.1"},
		},
		"headers of a proxy": {types.Version{}, system.Info{}, headers{"nginx/1.22", ""}, report.Engine{}},
		"nothing known":      {types.Version{}, system.Info{}, headers{}, report.Engine{}},
		"a hostile name":     {types.Version{Components: components("x\x1b[2J"), Version: "1\n"}, system.Info{}, headers{}, report.Engine{Product: `x\x1b[2J`, Version: "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.DeepEqual(t, unixSettings("/x").describe(test.version, test.info, test.said).Engine, test.want)
		})
	}
}

// TestDescribeHalf has an engine that refuses /info, as a proxy in front of a socket
// may: that is a warning, and no error.
func TestDescribeHalf(t *testing.T) {
	t.Parallel()
	connection := connect(t, tcpSettings(serve(t, nil, forbidding(t, "/info")), nil))
	described, err := connection.Describe(t.Context())
	assert.NilError(t, err)
	assert.Assert(t, described.Endpoint.Engine.Version != "")
	finding, ok := connection.Omitted.Finding()
	assert.Assert(t, ok && finding.Severity == report.SeverityWarning && finding.Cause == APIForbidden, "%+v", finding)
	assert.Assert(t, strings.HasPrefix(finding.Evidence[0], "GET /info: forbidden (403)"), "%q", finding.Evidence)
}

// TestNodeAddressForm accepts only addresses.
func TestNodeAddressForm(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		"": "", "10.231.1.2": "10.231.1.2", "fd00::1": "fd00::1", "engine": "", "10.231.1.2:2377": "", "1.2.3.4\x1b[2J": "",
	} {
		assert.Equal(t, nodeAddress(system.Info{Swarm: swarm.Info{NodeAddr: got}}), want, "%q", got)
	}
}
