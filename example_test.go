package nestprobe_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"time"

	"github.com/docker/docker/client"

	nestprobe "github.com/nestprobe/docker-nestprobe"
)

// apiVersion is what docker's client puts before a path.
var apiVersion = regexp.MustCompile(`^/v1\.\d+`)

// newEngine returns a client of an engine with the container "web", which publishes its port
// 8080 at an address. The engine is not a real one, so that the examples run everywhere.
func newEngine(published net.Addr, running bool) (api *client.Client, end func()) {
	host, port, _ := net.SplitHostPort(published.String())
	answers := map[string]string{
		"/_ping":   "OK",
		"/version": `{"Version": "28.5.2", "ApiVersion": "1.51", "Os": "linux", "Arch": "amd64", "Components": [{"Name": "Engine"}]}`,
		"/info":    `{"ID": "example", "OSType": "linux"}`,
		"/containers/web/json": fmt.Sprintf(`{"Id": "0123456789ab", "Name": "/web",
			"State": {"Status": "running", "Running": %t, "ExitCode": 3},
			"Config": {"ExposedPorts": {"8080/tcp": {}}},
			"HostConfig": {"NetworkMode": "bridge", "PortBindings": {"8080/tcp": [{"HostIp": %q}]}},
			"NetworkSettings": {"Networks": {"bridge": {}}, "Ports": {"8080/tcp": [{"HostIp": %q, "HostPort": %q}]}}}`, running, host, host, port),
		"/containers/job/json": `{"Id": "ba9876543210", "Name": "/job", "State": {"Status": "running", "Running": true}, "Config": {},
			"HostConfig": {"NetworkMode": "shop"}, "NetworkSettings": {"Networks": {"shop": {"IPAddress": "192.0.2.9", "IPPrefixLen": 24, "Gateway": "192.0.2.1"}}}}`,
		"/networks/shop":                `{"Name": "shop", "Driver": "bridge", "IPAM": {"Config": [{"Subnet": "192.0.2.0/24", "Gateway": "192.0.2.1"}]}}`,
		"/containers/json":              `[]`,
		"/containers/0123456789ab/logs": ``,
		"/networks":                     `[]`,
		"/networks/bridge":              `{"Name": "bridge", "Driver": "bridge"}`,
	}
	answers["/containers/0123456789ab/json"] = answers["/containers/web/json"]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[apiVersion.ReplaceAllString(r.URL.Path, "")]
		w.Header().Set("Api-Version", "1.51")
		w.Header().Set("Content-Type", "application/json")
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			answer = `{"message": "no such container"}`
		}
		_, _ = w.Write([]byte(answer))
	}))
	api, err := client.NewClientWithOpts(client.WithHost("tcp://"+server.Listener.Addr().String()), client.WithAPIVersionNegotiation())
	if err != nil {
		panic(err)
	}
	return api, func() {
		_ = api.Close()
		server.Close()
	}
}

// A server in a container is reached at the port that the container publishes.
func ExampleReach() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, "foo")
	}))
	defer server.Close()
	api, end := newEngine(server.Listener.Addr(), true)
	defer end()

	report, err := nestprobe.Reach(context.Background(), api, "web", 8080, nestprobe.WithPath("/foo"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.URL() == server.URL, report.Identity(), report.Best[0].Kind)
	// Output:
	// true unverified published-localhost
}

// An error has the cause, what proves it and how to fix it.
func ExampleError() {
	api, end := newEngine(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, false)
	defer end()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := nestprobe.Reach(ctx, api, "web", 8080)
	fmt.Println(errors.Is(err, nestprobe.ServerExited), errors.Is(err, nestprobe.PortNotPublished))
	var finding *nestprobe.Error
	if errors.As(err, &finding) {
		fmt.Println(finding.Title)
		fmt.Println(finding.Evidence[0])
		fmt.Println(finding.Commands)
	}
	// Output:
	// true false
	// The server exited before it answered
	// container web exited with code 3
	// [docker logs web docker start web]
}

// Candidates lists the addresses without probing them.
func ExampleCandidates() {
	api, end := newEngine(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 32768}, true)
	defer end()

	list, err := nestprobe.Candidates(context.Background(), api, "web", 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(list[0].Kind, list[0].Address, list[0].Reason)
	// Output:
	// published-localhost 127.0.0.1:32768 published only on this address
}
