package main

import (
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"
)

// While one run has the engines, a second run with the same engines is an error.
func TestOneRunAtATime(t *testing.T) {
	t.Setenv(claimedVariable, "")
	path := filepath.Join(t.TempDir(), "run")
	first, err := claim(path)
	assert.NilError(t, err)
	_, err = claim(path)
	assert.ErrorContains(t, err, "another test run has the engines")
	t.Setenv(claimedVariable, "yes")
	inside, err := claim(path)
	assert.NilError(t, err)
	assert.Check(t, inside == nil)
	t.Setenv(claimedVariable, "")
	assert.NilError(t, first.Close())
	second, err := claim(path)
	assert.NilError(t, err)
	assert.NilError(t, second.Close())
}
