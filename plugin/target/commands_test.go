package target

import (
	"testing"

	"github.com/docker/docker/api/types/container"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/target/meaning"
)

// Labels may hold anything, and a service of Compose is named by one.
func TestRecreateCommands(t *testing.T) {
	t.Parallel()
	response := func(name, service string) container.InspectResponse {
		config := &container.Config{}
		if service != "" {
			config.Labels = map[string]string{meaning.LabelService: service, labelConfigFiles: "compose.yaml"}
		}
		return container.InspectResponse{ContainerJSONBase: &container.ContainerJSONBase{Name: "/" + name}, Config: config}
	}
	assert.DeepEqual(t, recreateCommands(response("web", ""), "docker rm -f", ""), []string{"docker rm -f web", "docker run --name web ..."})
	assert.DeepEqual(t, recreateCommands(response("a b", ""), "", "--memory 64m"), []string{"docker run --name 'a b' --memory 64m ..."})
	for service, want := range map[string]string{
		"web":       "docker compose up -d --force-recreate web",
		"$(reboot)": "docker compose up -d --force-recreate '$(reboot)'",
		"it's":      `docker compose up -d --force-recreate 'it'"'"'s'`,
		"--build":   "",
		"a\rb":      "",
	} {
		assert.DeepEqual(t, recreateCommands(response("web", service), "docker rm", ""), []string{want})
	}
}
