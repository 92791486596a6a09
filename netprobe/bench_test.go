package netprobe_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// BenchmarkProbe compares a probe with the bare request, on a new connection too.
func BenchmarkProbe(b *testing.B) {
	address := webServer(b, builtin())
	target := netprobe.Target{Address: address, Path: "/foo", Identity: identity}
	b.Run("bare", func(b *testing.B) {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		for b.Loop() {
			resp, err := client.Get(target.URL())
			if err != nil {
				b.Fatal(err)
			}
			_, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	run := func(target netprobe.Target) func(*testing.B) {
		return func(b *testing.B) {
			b.Helper()
			b.ReportAllocs()
			for b.Loop() {
				if got := probe(b, target, netprobe.Options{}); !got.OK {
					b.Fatal(got)
				}
			}
		}
	}
	b.Run("probe", run(target))
	target.WebSocket = "/ws"
	b.Run("probe-websocket", run(target))
}
