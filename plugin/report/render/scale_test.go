package render

import (
	"fmt"
	"io"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// BenchmarkScale writes the Report of many servers, each with 16 addresses.
func BenchmarkScale(b *testing.B) {
	for _, format := range []string{"table", "json", "markdown"} {
		for _, servers := range []int{10, 100, 1000} {
			b.Run(fmt.Sprintf("%s/servers=%d", format, servers), func(b *testing.B) {
				rep := fromClient()
				for i := 1; i < servers; i++ {
					rep.Servers = append(rep.Servers, report.Server{Name: fmt.Sprintf("nestprobe-%d", i+1), Networks: rep.Servers[0].Networks})
					rep.Best = append(rep.Best, report.Best{Vantage: "client", Server: i, URL: "http://172.17.0.3:4647"})
				}
				rep.Probes = nil
				for i := range servers {
					for port := range 16 {
						rep.Probes = append(rep.Probes, probe(i, report.KindContainerIP, fmt.Sprintf("172.17.0.3:%d", 4000+port), inside))
					}
				}
				renderer, err := New(Options{Format: format})
				assert.NilError(b, err)
				for b.Loop() {
					assert.NilError(b, renderer.Write(io.Discard, rep))
				}
			})
		}
	}
}
