package ranking

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

func TestPickBestRanksByKind(t *testing.T) {
	t.Parallel()
	probe := func(server int, kind report.Kind, address string, ok bool) report.Probe {
		return report.Probe{
			Vantage: "host", Server: server, Kind: kind,
			URL: "http://" + address + "/foo", OK: ok,
		}
	}
	probes := []report.Probe{
		probe(0, report.KindContainerIP, "172.17.0.2:80", true),
		probe(0, report.KindPublishedAny, "0.0.0.0:1", true),
		probe(0, report.KindPublishedLocalhost, "127.0.0.1:1", false),
		probe(0, report.KindPublishedLocalhost, "[::1]:2", true),
		probe(0, report.KindPublishedEngineHost, "example.test:1", true),
		probe(1, report.KindContainerIP, "172.17.0.3:80", true),
		probe(1, report.KindPublishedAny, "0.0.0.0:3", true),
		probe(2, report.KindPublishedLocalhost, "127.0.0.1:4", false),
	}
	got, ok := PickBest(0, probes, OnHost(""), "/foo")
	assert.Check(t, ok)
	assert.DeepEqual(t, got, report.Best{Vantage: "host", Server: 0, Kind: "published-localhost", URL: "http://[::1]:2"})
	got, ok = PickBest(1, probes, OnHost(""), "/foo")
	assert.Check(t, ok)
	assert.Equal(t, got.URL, "http://172.17.0.3:80")
	_, ok = PickBest(2, probes, OnHost(""), "/foo")
	assert.Check(t, !ok)
}
