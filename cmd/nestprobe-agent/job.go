package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/containerd/errdefs"
	"github.com/docker/docker/pkg/jsonmessage"

	"github.com/nestprobe/docker-nestprobe/plugin/client"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/engine/agentimage"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// job is the work of a client or relay, and its messages to the plugin.
type job struct {
	client.Job
	out      messages
	released <-chan client.Release // the second document, if it is a Release
}

// runJob does the work that it reads as a JSON document from stdin, secrets included,
// with the Docker API of the work. It sends its progress and then its outcome to stdout,
// and returns when stdin ends. The end of stdin also cancels the work, unless the Release
// says to go on, and so does a second document that is not a Release.
func runJob(ctx context.Context, std stdio, measure func(context.Context, engine.Engine, *job) (*report.Report, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in := json.NewDecoder(std.in)
	j := &job{out: messages{newLines(std.out)}}
	if err := in.Decode(&j.Job); err != nil {
		return fmt.Errorf("reading the work: %w", err)
	}
	if j.Debug {
		slog.SetDefault(slog.New(slog.NewTextHandler(j.out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	}
	released := make(chan client.Release, 1)
	j.released = released
	over := make(chan struct{})
	// As in lifetime, this read ends with stdin or with the process.
	go func() {
		defer close(over)
		var release client.Release
		if in.Decode(&release) == nil && release.Release {
			released <- release
			if release.Keep {
				return
			}
			_ = in.Decode(&release)
		}
		cancel()
		_, _ = io.Copy(io.Discard, std.in)
	}()
	if err := j.out.send(client.Message{}); err != nil {
		return err
	}
	outcome := j.connectAndMeasure(ctx, measure)
	if err := j.out.send(client.Message{Outcome: &outcome}); err != nil {
		return err
	}
	awaitStdinEnd(over)
	return nil
}

func (j *job) options() experiment.Options {
	return experiment.Options{
		Progress:    j.out,
		Vantage:     probing.Vantage{Name: j.Vantage, Container: j.Container, Roots: j.Request.Roots},
		ClientJoins: j.Container != "",
		ID:          j.Run,
		Identities:  j.Identities,
		ServerEnv:   j.ServerEnv,
	}
}

// connectAndMeasure connects to the Docker API and measures with it.
func (j *job) connectAndMeasure(ctx context.Context, measure func(context.Context, engine.Engine, *job) (*report.Report, error)) client.Outcome {
	settings, err := connection.Receive(j.Endpoint)
	if err != nil {
		return outcome(false, nil, err)
	}
	api, err := openWithin(ctx, settings, j.StartTimeout)
	if err != nil {
		return outcome(false, nil, err)
	}
	defer api.Close()
	api.OnWait(j.out.Note)
	if err := checkSameEngine(ctx, api, j.Container); err != nil {
		return outcome(false, nil, api.Explain(ctx, err))
	}
	measured, err := measure(ctx, j.engine(settings, api), j)
	if omitted, ok := api.Omitted.Finding(); ok && measured != nil {
		measured.Findings = diagnosis.Merge(measured.Findings, []report.Finding{omitted})
	}
	return outcome(true, measured, api.Explain(ctx, err))
}

// openWithin connects to an engine, which may still be starting. It tries again until
// timeout is over.
func openWithin(ctx context.Context, settings connection.Settings, timeout time.Duration) (*connection.Connection, error) {
	waiting, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	pauses := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(10*time.Millisecond),
		backoff.WithMaxInterval(250*time.Millisecond),
	)
	for {
		api, err := connection.Open(ctx, settings)
		if err == nil || !engine.Pause(waiting, pauses.NextBackOff()) {
			return api, err
		}
	}
}

// checkSameEngine returns an error if the API is not that of the engine that runs this
// container. This container cannot reach the containers of another engine.
func checkSameEngine(ctx context.Context, api *connection.Connection, container string) error {
	if container == "" {
		return nil
	}
	_, err := api.API.ContainerInspect(ctx, container)
	if errdefs.IsNotFound(err) {
		return &report.Fault{
			Cause:    connection.SocketPathNotOnEngine,
			Evidence: []string{"the engine that answers does not know the client container, so it is not the one that runs it"},
			Hint:     "specify the socket of the engine that runs your containers, or give the client the endpoint instead",
			Err:      errors.New("the container was given the API of another engine"),
		}
	}
	return err
}

// engine returns the engine behind the API. A description in the work is used instead of
// a request.
func (j *job) engine(settings connection.Settings, api *connection.Connection) engine.Engine {
	host := cmp.Or(settings.EngineHost(), j.Host)
	if j.NoHost {
		host = ""
	}
	return engine.Engine{
		API:           api.API,
		Product:       api.Product,
		Omitted:       api.Omitted,
		Host:          host,
		HostAddresses: j.HostAddresses,
		Describe: func(ctx context.Context) (connection.Description, error) {
			if j.Description != nil {
				return *j.Description, nil
			}
			return api.Describe(ctx)
		},
		AgentImage: engine.OneByOne(func(ctx context.Context) (string, error) {
			return agentimage.EnsureNear(ctx, api.API, ownBinary{j.AgentDigest}, api.Platform)
		}),
		RegistryAuth: func(string) (string, error) {
			if j.NoRegistryAuth != "" {
				return "", errors.New(j.NoRegistryAuth)
			}
			return j.RegistryAuth, nil
		},
	}
}

// ownBinary are the agents' programs, of which each is this one.
type ownBinary struct {
	digest string // of this program's image, for the CPU that it was built for; empty if it is not known
}

// ReadFile implements agentimage.Binaries.
func (b ownBinary) ReadFile(name string) ([]byte, error) {
	if !strings.HasSuffix(name, agentimage.DigestExtension) {
		path, err := os.Executable()
		if err != nil {
			return nil, err
		}
		return os.ReadFile(path) //nolint:gosec // the program itself
	}
	if b.digest == "" || name != agentimage.FileName("linux", runtime.GOARCH)+agentimage.DigestExtension {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return []byte(b.digest), nil
}

func outcome(connected bool, measured *report.Report, err error) client.Outcome {
	o := client.Outcome{Connected: connected, Report: measured}
	if err == nil {
		return o
	}
	o.Error = err.Error()
	o.Setting = report.SettingOf(err)
	if fault := new(report.Fault); errors.As(err, &fault) {
		finding := diagnosis.Finding(fault)
		o.Fault = &finding
	}
	return o
}

// messages writes the experiment's progress to the client's stdout.
type messages struct{ *lines }

// Step implements engine.Progress. An error is ignored: a plugin that no longer reads ends
// the lease too.
func (m messages) Step(what string) func() {
	_ = m.send(client.Message{Step: what})
	return func() {}
}

// Note implements engine.Progress.
func (m messages) Note(what string) { _ = m.send(client.Message{Note: what}) }

// Write sends a line of the log.
func (m messages) Write(line []byte) (int, error) {
	return len(line), m.send(client.Message{Log: strings.TrimSuffix(string(line), "\n")})
}

// Pull implements engine.Progress.
func (m messages) Pull(stream io.Reader) error {
	defer m.Step("Pulling the image")()
	return jsonmessage.DisplayJSONMessagesStream(stream, io.Discard, 0, false, nil)
}
