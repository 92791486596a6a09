package checks

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

func inputFor(t *testing.T, host string) Input {
	t.Helper()
	return Input{
		Resolve: func() (connection.Settings, connection.Sources, error) {
			return connection.NewSettings("default", host), connection.Sources{Context: "by default", Host: "by default"}, nil
		},
		Environment:      func(string) string { return "" },
		ContainerProxies: func(string) ConfiguredProxies { return ConfiguredProxies{} },
		Agents:           fstest.MapFS{"nestprobe-agent-linux-amd64": {Data: []byte("agent")}},
		Timeout:          time.Second,
	}
}

// fakeEngine returns the endpoint of a server that answers what no real engine
// does. The scripts cover real engines. A path that is not in answers has an empty
// list.
func fakeEngine(t *testing.T, answers map[string]string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "np") //nolint:usetesting // socket paths are limited to 108 bytes (unix(7))
	assert.NilError(t, err)
	t.Cleanup(func() { assert.Check(t, os.RemoveAll(dir)) })
	socket := filepath.Join(dir, "s")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	assert.NilError(t, err)
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		w.Header().Set("Content-Type", "application/json")
		path := r.URL.Path
		if i := strings.Index(path, "/v1."); i == 0 {
			path = path[strings.Index(path[1:], "/")+1:]
		}
		answer, ok := answers[path]
		if !ok {
			answer = "[]"
		}
		_, _ = fmt.Fprint(w, answer)
	})}}
	server.Start()
	t.Cleanup(server.Close)
	return "unix://" + socket
}

const version = `{"Version":"20.10.24","ApiVersion":"1.41","MinAPIVersion":"1.12","Os":"linux","Arch":"amd64","Components":[{"Name":"Engine"}]}`

func TestEngineAnswers(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 1<<20)
	for name, test := range map[string]struct {
		answers map[string]string
		want    map[string]report.CheckResult
	}{
		"healthy": {map[string]string{"/version": version, "/info": `{}`}, map[string]report.CheckResult{"engine": "pass", "networks": "pass", "leftovers": "pass", "platform": "pass"}},
		"control characters": {map[string]string{
			"/version":         strings.Replace(version, "20.10.24", `\u001b[2J\n`, 1),
			"/info":            `{"OperatingSystem":"\u001b"}`,
			"/networks":        `[{"Name":"\u001b[31m\n\u202e","Driver":"\u0007","IPAM":{"Config":[{"Subnet":"\u001b","Gateway":"\u001b"}]},"Labels":{"io.nestprobe.run":"\u001b","io.nestprobe.deadline":"2020-01-01T00:00:00Z"}}]`,
			"/containers/json": `[{"Names":["/\u001b\n"],"State":"\u001b","Labels":{"io.nestprobe.run":"\u001b","io.nestprobe.deadline":"2020-01-01T00:00:00Z"}}]`,
		}, map[string]report.CheckResult{"engine": "pass", "networks": "pass", "leftovers": "warning"}},
		"megabytes of text": {map[string]string{
			"/version":         version,
			"/info":            `{"OperatingSystem":"` + long + `"}`,
			"/networks":        `[{"Name":"` + long + `","Driver":"` + long + `"}]`,
			"/containers/json": `[{"Names":["/` + long + `"],"Labels":{"io.nestprobe.deadline":"2020-01-01T00:00:00Z"}}]`,
		}, map[string]report.CheckResult{"engine": "pass", "leftovers": "warning"}},
		"wrong types": {map[string]string{
			"/version": `{"Version":7}`, "/info": `[]`, "/networks": `{"a":1}`, "/containers/json": `"no"`,
		}, map[string]report.CheckResult{"API versions": "pass", "engine": "pass", "details": "warning", "networks": "inconclusive", "leftovers": "inconclusive", "platform": "inconclusive"}},
		"not JSON": {map[string]string{"/version": "<html>", "/info": "{", "/networks": "[[[", "/containers/json": ""}, map[string]report.CheckResult{"API versions": "pass", "details": "warning", "networks": "failure", "leftovers": "failure"}},
		"empty answers": {map[string]string{"/version": "{}", "/info": "{}", "/networks": "null", "/containers/json": "null"}, map[string]report.CheckResult{
			"networks": "pass", "leftovers": "pass", "platform": "inconclusive",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, err := Run(t.Context(), inputFor(t, fakeEngine(t, test.answers)))
			assert.NilError(t, err)
			results := map[string]report.CheckResult{}
			for _, c := range result.Checks {
				results[c.Name] = c.Result
				assert.Check(t, c.Result != report.CheckCrashed, "%+v", c)
				assert.Check(t, len(c.Detail) <= report.MaxLine && !strings.ContainsAny(c.Detail, "\x1b\n\a\u202e"), "%q", c.Detail)
			}
			for _, f := range result.Findings {
				for _, line := range append(append([]string{f.Title, f.Hint}, f.Evidence...), f.Commands...) {
					assert.Check(t, len(line) <= report.MaxLine && !strings.ContainsAny(line, "\x1b\n\a\u202e"), "%q", line)
				}
			}
			for check, want := range test.want {
				assert.Check(t, results[check] == want, "%s: %s, not %s", check, results[check], want)
			}
		})
	}
}
