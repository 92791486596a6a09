package main

import (
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/internal/keep"
)

func TestMain(m *testing.M) {
	keep.Role()
	os.Exit(m.Run())
}

// The keeper runs while its command does, and exits with the command's status.
func TestKeeperRunsDuringCommand(t *testing.T) {
	t.Setenv(claimedVariable, "yes") // or these tests would block each other
	if testing.Short() {
		t.Skip("-short leaves out tests with the keeper of engines")
	}
	socket := filepath.Join(keep.Dir(), "keeper.sock")
	status, err := run([]string{"--", "sh", "-c", "test -S " + socket + " && exit 3"})
	assert.NilError(t, err)
	assert.Equal(t, status, 3)
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--"}, {"instal"}, {"install", "it"}} {
		status, err := run(args)
		assert.Equal(t, status, 2, "%q", args)
		assert.Error(t, err, usage)
	}
}

// A command that is not there is an error that names it.
func TestCommandNotFound(t *testing.T) {
	t.Setenv(claimedVariable, "yes")
	if testing.Short() {
		t.Skip("-short leaves out tests with the keeper of engines")
	}
	status, err := run([]string{"--", "no-such-command-at-all"})
	assert.Equal(t, status, 1)
	assert.ErrorContains(t, err, "no-such-command-at-all")
}
