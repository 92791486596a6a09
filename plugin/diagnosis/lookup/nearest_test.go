package lookup

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

func TestNearest(t *testing.T) {
	for typed, want := range map[string][]report.Cause{
		"server-exited":          {diagnosis.ServerExited},
		"server-exitd":           {diagnosis.ServerExited},
		"Server_Exited":          {diagnosis.ServerExited},
		"server exited":          {diagnosis.ServerExited},
		"leftover":               {diagnosis.Leftovers},
		"macvlan":                {diagnosis.MacvlanHostIsolation},
		"not-ready":              {diagnosis.ServerNotReady},
		"dns":                    {diagnosis.DefaultBridgeHasNoDNS},
		"docker-socket-mising":   {connection.DockerSocketMissing},
		"dokcer-socket-missing":  {connection.DockerSocketMissing},
		"publised-on-lopback":    {diagnosis.PublishedOnLoopback},
		"unexpected-stauts":      {diagnosis.UnexpectedStatus},
		"in-use":                 {diagnosis.NameInUse, diagnosis.PortInUse},
		"host-alias":             {diagnosis.HostAliasMissing, diagnosis.HostAliasUnreachable},
		"socket-permissions":     {connection.DockerSocketPerm, connection.DockerSocketMissing, connection.SocketPathNotOnEngine},
		"tls-expire":             {connection.TLSExpired},
		"on":                     nil,
		"":                       nil,
		"-":                      nil,
		"quux":                   nil,
		"\x1b[31m":               nil,
		strings.Repeat("ü", 999): nil,
	} {
		near := Nearest(typed)
		assert.Check(t, len(near) >= len(want), "%q: %v", typed, near)
		for i, c := range want {
			assert.Check(t, i < len(near) && near[i] == c, "%q: %v", typed, near)
		}
		assert.Check(t, len(near) <= maxNearest)
		if want == nil {
			assert.Check(t, len(near) == 0, "%q: %v", typed, near)
		}
	}
	assert.Equal(t, len(Nearest("tls")), maxNearest)
}

func TestNearestOfEachCauseIsItself(t *testing.T) {
	for _, c := range diagnosis.Causes() {
		assert.Equal(t, Nearest(string(c))[0], c)
	}
}
