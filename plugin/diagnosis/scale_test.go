package diagnosis_test

import (
	"fmt"
	"testing"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// BenchmarkScale explains a server whose addresses all fail.
func BenchmarkScale(b *testing.B) {
	for _, n := range []int{50, 500} {
		b.Run(fmt.Sprintf("addresses=%d", n), func(b *testing.B) {
			server := listens(on(bridge, published), "127.0.0.1:8080")
			probes := make([]report.Probe, n)
			for i := range probes {
				probes[i] = row(report.KindContainerIP, fmt.Sprintf("10.0.%d.%d:8080", i/250, i%250), netprobe.Refused)
				probes[i].Vantage = host.Name
			}
			for b.Loop() {
				diagnosis.Explain(diagnosis.Input{Engine: rootful, Server: server, Vantages: []facts.Vantage{host}}, probes)
			}
		})
	}
}
