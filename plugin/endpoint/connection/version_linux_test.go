package connection

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/docker/docker/api/types/swarm"
	"golang.org/x/sync/errgroup"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/endpointtest"
)

// counting is the machine's engine with the requests for some paths counted.
func counting(t *testing.T, suffix string, count *atomic.Int32) http.Handler {
	t.Helper()
	proxy := engineProxy(t)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, suffix) {
			count.Add(1)
		}
		proxy.ServeHTTP(w, r)
	})
}

// TestVersionRequestedOnce has several goroutines describe the engine in parallel.
func TestVersionRequestedOnce(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	connection := connect(t, tcpSettings(serve(t, nil, counting(t, "/version", &requests)), nil))
	assert.Equal(t, requests.Load(), int32(0), "opening requests no version")
	var calls errgroup.Group
	for range 10 {
		calls.Go(func() error {
			os, arch, err := connection.Platform(t.Context())
			if err == nil && (os != "linux" || arch != runtime.GOARCH) {
				err = errors.New("the engine runs containers of " + os + "/" + arch)
			}
			return err
		})
		calls.Go(func() error {
			described, err := connection.Describe(t.Context())
			if err == nil && described.Endpoint.Engine.Arch != runtime.GOARCH {
				err = errors.New("the engine is described with the CPU " + described.Endpoint.Engine.Arch)
			}
			return err
		})
	}
	assert.NilError(t, calls.Wait())
	assert.Equal(t, requests.Load(), int32(1))
}

// TestVersionRequestedAgain has the first request fail, and then a caller cancelled
// while another one waits for the answer.
func TestVersionRequestedAgain(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	arrived, proceed := make(chan struct{}), make(chan struct{})
	proxy := engineProxy(t)
	connection := connect(t, tcpSettings(serve(t, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/version") {
			switch requests.Add(1) {
			case 1:
				w.Header().Set("Content-Length", "1")
				w.WriteHeader(http.StatusOK)
				assert.Check(t, http.NewResponseController(w).Flush())
				panic(http.ErrAbortHandler) // closes the connection, too late for the client to send the request again
			case 2:
				close(arrived)
				<-proceed
			}
		}
		proxy.ServeHTTP(w, r)
	})), nil))
	_, _, err := connection.Platform(t.Context())
	assert.ErrorContains(t, err, "closed the connection")

	var call errgroup.Group
	call.Go(func() error {
		_, _, again := connection.Platform(t.Context())
		return again
	})
	<-arrived
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = connection.Platform(cancelled)
	assert.ErrorIs(t, err, context.Canceled)
	close(proceed)
	assert.NilError(t, call.Wait())
	_, _, err = connection.Platform(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, requests.Load(), int32(2))
}

// TestPlatformLost loses the engine before it answers.
func TestPlatformLost(t *testing.T) {
	t.Parallel()
	connection := connect(t, tcpSettings(serve(t, nil, pretender("1.41", "1.12", hangUp)), nil))
	_, _, err := connection.Platform(t.Context())
	endpointtest.WantFault(t, err, EngineUnreachable, "closed the connection")
}

// TestNodeAddress describes an engine before and after it makes a Swarm.
func TestNodeAddress(t *testing.T) {
	t.Parallel()
	engine := enginetest.StartPrivate(t, enginetest.Toolbox)
	connection := connect(t, NewSettings("test", engine.Host, WithTLS(readFolder(t, engine.CertDir))))
	described, err := connection.Describe(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, described.NodeAddress, "")
	_, err = connection.API.SwarmInit(t.Context(), swarm.InitRequest{ListenAddr: engine.Address + ":2377", AdvertiseAddr: engine.Address})
	assert.NilError(t, err)
	connection = connect(t, NewSettings("test", engine.Host, WithTLS(readFolder(t, engine.CertDir))))
	described, err = connection.Describe(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, described.NodeAddress, engine.Address)
}
