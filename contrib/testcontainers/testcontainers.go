// Package nestprobe lets programs with testcontainers-go wait for a server that this process
// can reach, and use the address that works. [ForReachable] is a wait strategy: it ends with
// the cause if no address works, where others end with "context deadline exceeded".
// [Endpoint] returns the address.
//
// Both work on the host, in a container and with a remote engine, where the server is reached
// at different addresses. They use the endpoint that testcontainers-go uses, start nothing on
// the engine, and may be called from several goroutines in parallel.
package nestprobe

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"

	nestprobe "github.com/nestprobe/docker-nestprobe"
	"github.com/nestprobe/docker-nestprobe/contrib/moby"
)

// Strategy waits until a port of a container is reached from this process.
type Strategy struct {
	port    string
	options []nestprobe.Option
	timeout time.Duration
}

var (
	_ wait.Strategy        = (*Strategy)(nil)
	_ wait.StrategyTimeout = (*Strategy)(nil)
)

// defaultStartupTimeout is that of the strategies of testcontainers-go.
const defaultStartupTimeout = time.Minute

// ForReachable returns a strategy that waits until a TCP port of the container, such as
// "8080/tcp", is reached from this process. By default it connects and sends nothing; with
// options such as nestprobe.WithPath it expects a good answer over HTTP.
//
// The strategy's error is a *nestprobe.Error if no address works in time, or if the container
// exits: it has the cause, the evidence and how to fix it. errors.Is(err, CAUSE) is true
// for it.
func ForReachable(port string, options ...nestprobe.Option) *Strategy {
	return &Strategy{port: port, options: options, timeout: defaultStartupTimeout}
}

// WithStartupTimeout sets how long the server may take to answer. The default is a minute. The
// last quarter, 4 s at most, is kept to find the cause.
func (s *Strategy) WithStartupTimeout(timeout time.Duration) *Strategy {
	s.timeout = timeout
	return s
}

// Timeout returns how long the server may take to answer.
func (s *Strategy) Timeout() *time.Duration { return &s.timeout }

// String describes the strategy for the log of testcontainers-go.
func (s *Strategy) String() string { return "port " + s.port + " to be reachable from here" }

// WaitUntilReady waits until the port is reached.
func (s *Strategy) WaitUntilReady(ctx context.Context, target wait.StrategyTarget) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	inspected, err := target.Inspect(ctx)
	if err != nil {
		return fmt.Errorf("inspecting the container: %w", err)
	}
	name := strings.TrimPrefix(inspected.Name, "/")
	_, err = reach(ctx, name, s.port, append([]nestprobe.Option{nestprobe.WithWait(s.timeout)}, s.options...))
	return err
}

// Endpoint returns the address, host:port, at which this process reaches a TCP port of the
// container, such as "8080/tcp". Its errors are those of nestprobe.Reach.
func Endpoint(ctx context.Context, container testcontainers.Container, port string, options ...nestprobe.Option) (string, error) {
	report, err := reach(ctx, container.GetContainerID(), port, options)
	if err != nil {
		return "", err
	}
	return report.Address(), nil
}

func reach(ctx context.Context, container, port string, options []nestprobe.Option) (*nestprobe.Report, error) {
	number, err := parsePort(port)
	if err != nil {
		return nil, err
	}
	api, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening the Docker API: %w", err)
	}
	report, err := nestprobe.Reach(ctx, moby.Adapt(api.Client), container, number, options...)
	return report, errors.Join(err, api.Close())
}

// parsePort parses a TCP port as testcontainers-go takes it.
func parsePort(port string) (uint16, error) {
	text, protocol, _ := strings.Cut(port, "/")
	number, err := strconv.ParseUint(text, 10, 16)
	switch {
	case protocol == "udp":
		return 0, fmt.Errorf("port %s: UDP is not probed", port)
	case err != nil || number == 0 || protocol != "" && protocol != "tcp":
		return 0, fmt.Errorf("port %q is not of the form 8080/tcp", port)
	}
	return uint16(number), nil
}
