package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"
	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
)

const (
	// manyConnections is how many connections send requests at the same time.
	manyConnections = 64
	// loadTime is how long they do, for each proxy in each round.
	loadTime   = time.Second
	loadRounds = 5
	// idleWebSockets is below the number of connections that a relay accepts.
	idleWebSockets = 390
)

// compareProxies compares the relay with nginx: two containers on one network that proxy the
// same server, and are reached at their own addresses. Where nginx is not to be had, it says
// so.
func compareProxies(ctx context.Context, api *client.Client, server container.InspectResponse, through string) (err error) {
	relay, err := relayOf(ctx, api, server)
	if err != nil {
		return err
	}
	relayBase, err := ownAddress(relay, through, relayPort)
	if err != nil {
		return err
	}
	proxied := fmt.Sprintf("%s:%s", address(server), strings.TrimSuffix(port, "/tcp"))
	nginx, err := startNginx(ctx, api, relay.HostConfig.NetworkMode, proxied)
	if errors.Is(err, errNoNginx) {
		fmt.Printf("%-36s %v\n", "relay / nginx", err)
		return nil
	}
	defer func() { err = errors.Join(err, nginx.remove(context.WithoutCancel(ctx), api)) }()
	if err != nil {
		return err
	}
	inspected, err := api.ContainerInspect(ctx, nginx.id)
	if err != nil {
		return err
	}
	nginxBase := "http://" + net.JoinHostPort(address(inspected), nginxPort)
	if err := awaitAnswer(ctx, nginxBase+"/foo"); err != nil {
		return fmt.Errorf("waiting for nginx: %w", err)
	}
	ours, floor, err := alternate(request(ctx, relayBase), request(ctx, nginxBase))
	if err != nil {
		return err
	}
	printLine("HTTP request, relay / nginx", ours, floor)
	if err := compareThroughput(ctx, relayBase, nginxBase); err != nil {
		return err
	}
	return compareMemory(ctx, api, side{relay.ID, relayBase}, side{nginx.id, nginxBase})
}

const relayPort = "4646"

// relayOf is the container with the relay that has started a server.
func relayOf(ctx context.Context, api *client.Client, server container.InspectResponse) (container.InspectResponse, error) {
	run := engine.LabelRun + "=" + server.Config.Labels[engine.LabelRun]
	found, err := api.ContainerList(ctx, container.ListOptions{Filters: filters.NewArgs(filters.Arg("label", run))})
	if err != nil {
		return container.InspectResponse{}, err
	}
	for _, c := range found {
		inspected, err := api.ContainerInspect(ctx, c.ID)
		if err != nil {
			return container.InspectResponse{}, err
		}
		if inspected.Config.Cmd[0] == "relay" {
			return inspected, nil
		}
	}
	return container.InspectResponse{}, fmt.Errorf("no relay among %d containers with the label %s", len(found), run)
}

// address is the address of a container on its only network.
func address(c container.InspectResponse) string {
	for _, network := range c.NetworkSettings.Networks {
		return network.IPAddress
	}
	return ""
}

// ownAddress is the base URL of a container whose published port has the URL published.
func ownAddress(c container.InspectResponse, published, port string) (string, error) {
	base, err := url.Parse(published)
	if err != nil {
		return "", err
	}
	base.Host = net.JoinHostPort(address(c), port)
	return base.String(), nil
}

// compareThroughput prints the requests a second of both, and how many times as many the
// first one answers. They alternate.
func compareThroughput(ctx context.Context, bases ...string) error {
	var answered [2]int64
	for range loadRounds {
		for i, base := range bases {
			n, err := load(ctx, base)
			if err != nil {
				return err
			}
			answered[i] += n
		}
	}
	seconds := (loadRounds * loadTime).Seconds()
	ours, floor := float64(answered[0])/seconds, float64(answered[1])/seconds
	fmt.Printf("%-36s %10.0f/s %10.0f/s %12s %8.3f\n", fmt.Sprintf("%d connections, relay / nginx", manyConnections), ours, floor, "", ours/floor)
	return nil
}

// load sends requests over many connections for loadTime and returns the number of answers.
func load(ctx context.Context, base string) (answered int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var count atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	until := time.Now().Add(loadTime)
	for range manyConnections {
		group.Go(func() error {
			send, closeConn, err := requestOnConn(ctx, base)
			if err != nil {
				return err
			}
			defer closeConn()
			for time.Now().Before(until) {
				if err := send(); err != nil {
					return err
				}
				count.Add(1)
			}
			return nil
		})
	}
	err = group.Wait()
	return count.Load(), err
}

// requestOnConn sends requests over one connection with little work of this program, which
// shares the processors with the proxies.
func requestOnConn(ctx context.Context, base string) (send func() error, closeConn func(), err error) {
	at, err := url.Parse(base + "/foo")
	if err != nil {
		return nil, nil, err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", at.Host)
	if err != nil {
		return nil, nil, err
	}
	request := []byte("GET " + at.Path + " HTTP/1.1\r\nHost: " + at.Host + "\r\n\r\n")
	reader := bufio.NewReader(conn)
	return func() error {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			return err
		}
		return readAnswer(base, response)
	}, func() { _ = conn.Close() }, nil
}

// side is one of the two proxies.
type side struct{ id, base string }

// compareMemory prints how much more memory each container takes with idle WebSockets.
func compareMemory(ctx context.Context, api *client.Client, sides ...side) error {
	var grown [2]uint64
	for i, s := range sides {
		var err error
		if grown[i], err = memoryOfWebSockets(ctx, api, s); err != nil {
			return err
		}
	}
	fmt.Printf("%-36s %9.1f MB %9.1f MB %12s %8.3f\n", fmt.Sprintf("%d idle WebSockets, relay / nginx", idleWebSockets),
		float64(grown[0])/1e6, float64(grown[1])/1e6, "", float64(grown[0])/float64(grown[1]))
	return nil
}

func memoryOfWebSockets(ctx context.Context, api *client.Client, s side) (uint64, error) {
	var open []*websocket.Conn
	defer func() {
		for _, conn := range open {
			_ = conn.CloseNow()
		}
	}()
	for range idleWebSockets {
		conn, _, err := websocket.Dial(ctx, s.base+"/ws", nil) //nolint:bodyclose // package websocket closes it
		if err != nil {
			return 0, err
		}
		open = append(open, conn)
	}
	return memoryOf(ctx, api, s.id)
}

// memoryOf is the memory of a container in bytes, as docker stats prints it.
func memoryOf(ctx context.Context, api *client.Client, id string) (uint64, error) {
	answer, err := api.ContainerStatsOneShot(ctx, id)
	if err != nil {
		return 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	var stats container.StatsResponse
	if err := json.NewDecoder(answer.Body).Decode(&stats); err != nil {
		return 0, err
	}
	memory := stats.MemoryStats
	return memory.Usage - memory.Stats["inactive_file"], nil
}
