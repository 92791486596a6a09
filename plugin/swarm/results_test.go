package swarm

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// A node has rows only for the results of its helper.
func TestRows(t *testing.T) {
	t.Parallel()
	r := newTestRun()
	r.newWork()
	lines := strings.NewReader(`noise
{"race":0,"attempt":1,"result":{"attempts":2,"ok":true,"status":200}}
{"race":1,"attempt":0,"result":{"attempts":9,"failure":"connect-timeout"}}
{"race":4,"attempt":0,"result":{"attempts":9,"failure":"connect-timeout"}}
`)
	r.nodes[0].results = parseResults(lines)
	rows := r.rows(r.nodes[0])
	assert.Assert(t, is.Len(rows, 2))
	assert.Check(t, is.DeepEqual([]any{rows[0].Vantage, rows[0].Server, rows[0].Kind, rows[0].OK, rows[0].Attempts},
		[]any{"node:one", 0, report.KindContainerIP, true, 2}))
	assert.Check(t, is.DeepEqual([]any{rows[1].Server, rows[1].Failure}, []any{1, netprobe.ConnectTimeout}))
	assert.Check(t, is.Equal(r.facts().Nodes[1].Gossip["node:one"].Failure, netprobe.ConnectTimeout))
	assert.Check(t, is.Len(r.rows(r.nodes[1]), 0))
}
