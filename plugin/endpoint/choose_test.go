package endpoint

import (
	"testing"

	"gotest.tools/v3/assert"
)

// `docker context use` does nothing while something else chooses the context.
func TestChooseDefault(t *testing.T) {
	t.Parallel()
	for source, want := range map[string][]string{
		"from DOCKER_CONTEXT": {"unset DOCKER_CONTEXT"},
		"from currentContext in /home/me/.docker/config.json": {"docker context use default"},
		"from --context": nil,
		"":               nil,
	} {
		assert.DeepEqual(t, chooseDefault(source), want)
	}
}
