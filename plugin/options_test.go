package plugin

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/pflag"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
)

// requestOf parses the arguments of run.
func requestOf(t *testing.T, args ...string) (experiment.Request, error) {
	t.Helper()
	options, flags := newRunOptions(), pflag.NewFlagSet("run", pflag.ContinueOnError)
	options.install(flags)
	assert.NilError(t, flags.Parse(args))
	return options.request(flags, flags.Args())
}

func TestContainerOptions(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "env")
	assert.NilError(t, os.WriteFile(file, []byte("# comment\nCOLOR=blue\nTASTE=sour\n"), 0o600))
	here, err := filepath.Abs(".")
	assert.NilError(t, err)

	request, err := requestOf(t, "--env-file", file, "-e", "TASTE=sweet", "--entrypoint", "/serve", "--hostname", "shop",
		"-v", "data:/data:ro", "--volume", "./conf:/conf", "-v", "/cache", "-P", "my/image", "argument")
	assert.NilError(t, err)
	assert.DeepEqual(t, request.Env, []string{"COLOR=blue", "TASTE=sour", "TASTE=sweet"})
	assert.DeepEqual(t, request.Entrypoint, []string{"/serve"})
	assert.DeepEqual(t, request.Command, []string{"argument"})
	assert.Equal(t, request.Hostname, "shop")
	assert.DeepEqual(t, request.Binds, []string{"data:/data:ro", filepath.Join(here, "conf") + ":/conf"})
	assert.DeepEqual(t, request.Volumes, map[string]struct{}{"/cache": {}})
	assert.Check(t, request.PublishAll && request.PublishPort)

	request, err = requestOf(t, "--entrypoint", "", "my/image")
	assert.NilError(t, err)
	assert.DeepEqual(t, request.Entrypoint, []string{""})
}

func TestContainerOptionsThatCannotBe(t *testing.T) {
	t.Parallel()
	for message, args := range map[string][]string{
		"--entrypoint needs IMAGE":         {"--entrypoint", "/serve"},
		"invalid --env-file: open ":        {"--env-file", filepath.Join(t.TempDir(), "none"), "my/image"},
		"invalid --volume: it is empty":    {"-v", "", "my/image"},
		"--publish none publishes nothing": {"-p", "none", "-P", "my/image"},
	} {
		_, err := requestOf(t, args...)
		assert.Check(t, is.ErrorContains(err, message))
	}
}
