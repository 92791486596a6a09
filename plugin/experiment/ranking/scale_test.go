package ranking

import (
	"fmt"
	"testing"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// BenchmarkScale picks the best address of each of many servers.
func BenchmarkScale(b *testing.B) {
	for _, servers := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("servers=%d", servers), func(b *testing.B) {
			var probes []report.Probe
			for i := range servers {
				for port := range 16 {
					probes = append(probes, report.Probe{Vantage: "host", Server: i, OK: true, URL: fmt.Sprintf("http://127.0.0.1:%d/foo", 4000+port), Kind: report.KindPublishedLocalhost})
				}
			}
			for b.Loop() {
				PickBestOfEach(servers, probes, OnHost(""), "")
			}
		})
	}
}
