//go:build linux

package plugin_test

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// apiVersion is what Docker's client puts in front of a path.
var apiVersion = regexp.MustCompile(`^/v\d+\.\d+/`)

// startRecorded serves a Docker API on a socket from files, such as version.json and
// containers/json.json, and returns its address. It is for engines that the tests cannot
// start; a script that uses it says so.
func startRecorded(tb testing.TB, folder string) string {
	tb.Helper()
	var version struct{ APIVersion, OS string }
	data, err := os.ReadFile(filepath.Join(folder, "version.json"))
	assert.NilError(tb, err)
	assert.NilError(tb, json.Unmarshal(data, &version))
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", version.APIVersion)
		w.Header().Set("Ostype", version.OS)
		path := strings.TrimPrefix(apiVersion.ReplaceAllString(r.URL.Path, "/"), "/")
		if path == "_ping" {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		answer, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(path)+".json"))
		if err != nil {
			w.WriteHeader(http.StatusNotFound)
			answer = []byte(`{"message":"page not found"}`)
		}
		_, _ = w.Write(answer)
	})}
	return serve(tb, server, "unix", newSocketPath(tb))
}

// newSocketPath is a path for a socket, in a folder that is removed with the test.
func newSocketPath(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "nestprobe") //nolint:usetesting // the paths of sockets are short (unix(7))
	assert.NilError(tb, err)
	tb.Cleanup(func() { assert.Check(tb, os.RemoveAll(dir)) })
	return filepath.Join(dir, "docker.sock")
}

// serve serves at an address until the end of the test, and returns what DOCKER_HOST
// is set to.
func serve(tb testing.TB, server *http.Server, network, address string) string {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), network, address)
	assert.NilError(tb, err)
	if network == "unix" && os.Getuid() != 0 { // root in a container without capabilities opens only what root owns
		assert.NilError(tb, os.Chmod(address, 0o666))
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	tb.Cleanup(func() {
		assert.Check(tb, server.Close())
		assert.Check(tb, errors.Is(<-ended, http.ErrServerClosed))
	})
	return network + "://" + listener.Addr().String()
}
