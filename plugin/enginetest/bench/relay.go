package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"time"

	"github.com/coder/websocket"
	"github.com/docker/docker/api/types/container"

	"github.com/nestprobe/docker-nestprobe/plugin/client"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// exchanges is how many requests, or messages, each path is measured with; the two
// paths alternate.
const exchanges = 2000

// compareRelay measures what the relay adds to a request and to a message, on
// connections that are kept, against the server's own address.
func compareRelay(ctx context.Context, known target) (err error) {
	var relay report.Report
	cmd := exec.CommandContext(ctx, "docker", "nestprobe", "in-container", "--relay", "--keep", "--format", "json")
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w", cmd, err)
	}
	if err := json.Unmarshal(out, &relay); err != nil {
		return err
	}
	api, err := known.open()
	if err != nil {
		return err
	}
	defer func() { _ = api.Close() }()
	server, err := api.ContainerInspect(ctx, relay.Servers[0].ID)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removeRelay(context.WithoutCancel(ctx), server)) }()
	through, direct, err := baseURLs(&relay)
	if err != nil {
		return err
	}
	added, floor, err := alternate(request(ctx, through), request(ctx, direct))
	if err != nil {
		return err
	}
	printLine("HTTP request, relayed / direct", added, floor)
	for _, size := range []int{1, 64 << 10} {
		added, floor, err := messages(ctx, through, direct, size)
		if err != nil {
			return err
		}
		printLine(fmt.Sprintf("WebSocket, %d B, relayed / direct", size), added, floor)
	}
	return compareProxies(ctx, api, server, through)
}

// baseURLs are the base URLs of one server, through the relay and of its container.
func baseURLs(relay *report.Report) (through, direct string, err error) {
	for _, best := range relay.Best {
		switch best.Vantage {
		case probing.VantageHost:
			through = best.URL
		case client.VantageRelay:
			direct = best.URL
		}
	}
	if through == "" || direct == "" {
		return "", "", fmt.Errorf("no address of the relay or of its server: %+v", relay.Best)
	}
	return through, direct, nil
}

// removeRelay removes all that carries the label of a server's run.
func removeRelay(ctx context.Context, server container.InspectResponse) error {
	label := engine.LabelRun + "=" + server.Config.Labels[engine.LabelRun]
	remove := exec.CommandContext(ctx, "sh", "-c", `docker rm -f $(docker ps -aq --filter "label=$1")`, "sh", label) //nolint:gosec // the label is nestprobe's own
	if out, err := remove.CombinedOutput(); err != nil {
		return fmt.Errorf("removing the relay: %w\n%s", err, out)
	}
	return nil
}

// request sends requests to a server over one connection.
func request(ctx context.Context, base string) func() error {
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	return func() error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/foo", http.NoBody)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		return readAnswer(base, response)
	}
}

// readAnswer reads an answer to its end. Any other status than 200 is an error.
func readAnswer(base string, response *http.Response) error {
	_, err := io.Copy(io.Discard, response.Body)
	if response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answered %s", base, response.Status)
	}
	return errors.Join(err, response.Body.Close())
}

// messages measures a message there and back.
func messages(ctx context.Context, through, direct string, size int) (added, floor time.Duration, err error) {
	message := bytes.Repeat([]byte{'x'}, size)
	var exchange [2]func() error
	for i, base := range []string{through, direct} {
		conn, _, err := websocket.Dial(ctx, base+"/ws", nil) //nolint:bodyclose // package websocket closes it
		if err != nil {
			return 0, 0, err
		}
		defer func() { _ = conn.CloseNow() }()
		conn.SetReadLimit(int64(size))
		exchange[i] = func() error {
			if err := conn.Write(ctx, websocket.MessageBinary, message); err != nil {
				return err
			}
			_, _, err := conn.Read(ctx)
			return err
		}
	}
	return alternate(exchange[0], exchange[1])
}

// alternate returns the medians of two exchanges.
func alternate(ours, floor func() error) (medianOurs, medianFloor time.Duration, err error) {
	var took [2][]time.Duration
	for range exchanges {
		for i, exchange := range []func() error{ours, floor} {
			began := time.Now()
			if err := exchange(); err != nil {
				return 0, 0, err
			}
			took[i] = append(took[i], time.Since(began))
		}
	}
	return median(took[0]), median(took[1]), nil
}
