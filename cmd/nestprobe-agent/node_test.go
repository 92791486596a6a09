package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/swarm"
)

// On a node of a Swarm, a server and a helper get only environment variables: the server
// its identity, the helper its work, which it does once.
func TestOnNode(t *testing.T) {
	t.Setenv(swarm.IdentityVariable, "of-node-1")
	options, err := parseServe(nil, &bytes.Buffer{})
	assert.NilError(t, err)
	assert.Equal(t, options.identity, "of-node-1")

	port := startServe(t, "--identity", "of-node-1")
	target := netprobe.Target{Address: "127.0.0.1:" + port, Path: "/foo", Identity: "of-node-1"}
	work := swarm.NodeWork{Settle: time.Second, Races: []netprobe.Race{
		{Attempts: []netprobe.Attempt{{Target: target}}, Timeout: time.Second, Wait: time.Second},
	}}
	encoded, err := work.Encode()
	assert.NilError(t, err)
	t.Setenv(swarm.WorkVariable, encoded)
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"probe"}, stdio{in: strings.NewReader(""), out: &stdout, err: &stderr})
	assert.Equal(t, code, exitOK, "%s", &stderr)
	var result swarm.NodeResult
	assert.NilError(t, json.Unmarshal(stdout.Bytes(), &result))
	assert.Check(t, result.Result.OK, "%+v", result)
	assert.Check(t, is.Equal(result.Result.Identity, netprobe.IdentityVerified))

	t.Setenv(swarm.WorkVariable, "nonsense")
	code = run(t.Context(), []string{"probe"}, stdio{in: strings.NewReader(""), out: &stdout, err: &stderr})
	assert.Equal(t, code, exitFailed)
	assert.Check(t, is.Contains(stderr.String(), "decoding the work of a node"))
}
