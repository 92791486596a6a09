// Command containerclient opens the Docker API as the agent does inside a
// container, with the settings that it reads from stdin. It prints the outcome
// as JSON, in the form of endpointtest.Outcome. The tests of the package
// connection run it in containers FROM scratch, where nothing else is; it must
// not contain docker/cli, nor the tests' own packages.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// timeout only guards against hanging.
const timeout = time.Minute

type outcome struct {
	Endpoint  connection.Settings
	Described report.Endpoint
	Error     string
	Finding   *report.Finding
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := json.NewEncoder(os.Stdout).Encode(try(ctx)); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func try(ctx context.Context) (result outcome) {
	settings, err := receive()
	if err != nil {
		return failed(result, err)
	}
	result.Endpoint = settings
	opened, err := connection.Open(ctx, settings)
	if err != nil {
		return failed(result, err)
	}
	defer opened.Close()
	described, err := opened.Describe(ctx)
	result.Described = described.Endpoint
	return failed(result, err)
}

func receive() (connection.Settings, error) {
	data, err := io.ReadAll(os.Stdin)
	if err != nil {
		return connection.Settings{}, fmt.Errorf("read the settings: %w", err)
	}
	return connection.Receive(data)
}

func failed(o outcome, err error) outcome {
	if err == nil {
		return o
	}
	o.Error = err.Error()
	var fault *report.Fault
	if errors.As(err, &fault) {
		finding := fault.Finding()
		o.Finding = &finding
	}
	return o
}
