package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
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
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// job is what a client or a relay has to do, and how it talks meanwhile.
type job struct {
	client.Job
	out      messages
	released <-chan client.Release // the second document, if it is a release
}

// perform does the work that it reads as a JSON document from stdin, secrets
// included, with the Docker API that the work names. It tells the progress and at
// last the outcome on stdout, and ends with stdin. The measuring ends when stdin
// does, unless the job is kept, or has another document that is no release.
func perform(ctx context.Context, std stdio, measure func(context.Context, engine.Engine, *job) (*report.Report, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in := json.NewDecoder(std.in)
	j := &job{out: messages{newLines(std.out)}}
	if err := in.Decode(&j.Job); err != nil {
		return fmt.Errorf("reading the work: %w", err)
	}
	released := make(chan client.Release, 1)
	j.released = released
	over := make(chan struct{})
	// Like the lease of serve, this read ends with stdin or with the process.
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
	outcome := j.connected(ctx, measure)
	if err := j.out.send(client.Message{Outcome: &outcome}); err != nil {
		return err
	}
	awaitHeard(over)
	return nil
}

func (j *job) options() experiment.Options {
	return experiment.Options{
		Progress:   j.out,
		Vantage:    experiment.Vantage{Name: j.Vantage, Container: j.Container},
		ID:         j.Run,
		Identities: j.Identities,
	}
}

// connected opens the Docker API and measures with it.
func (j *job) connected(ctx context.Context, measure func(context.Context, engine.Engine, *job) (*report.Report, error)) client.Outcome {
	settings, err := connection.Receive(j.Endpoint)
	if err != nil {
		return outcome(false, nil, err)
	}
	api, err := open(ctx, settings, j.StartTimeout)
	if err != nil {
		return outcome(false, nil, err)
	}
	defer api.Close()
	if err := knows(ctx, api, j.Container); err != nil {
		return outcome(false, nil, api.Explain(ctx, err))
	}
	e := j.engine(settings, api)
	if e.Host == "" {
		e.Host = j.Host
	}
	measured, err := measure(ctx, e, j)
	return outcome(true, measured, api.Explain(ctx, err))
}

// open connects to an engine, which may still be starting.
func open(ctx context.Context, settings connection.Settings, patience time.Duration) (*connection.Connection, error) {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	pauses := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(10*time.Millisecond),
		backoff.WithMaxInterval(250*time.Millisecond),
	)
	for {
		api, err := connection.Open(ctx, settings)
		if err == nil || waiting.Err() != nil {
			return api, err
		}
		select {
		case <-time.After(pauses.NextBackOff()):
		case <-waiting.Done():
			return nil, err
		}
	}
}

// knows proves that the engine behind the API is the one that runs this
// container: another one's containers are somewhere else.
func knows(ctx context.Context, api *connection.Connection, container string) error {
	if container == "" {
		return nil
	}
	_, err := api.API.ContainerInspect(ctx, container)
	if errdefs.IsNotFound(err) {
		return &report.Fault{
			Cause:    connection.SocketPathNotOnEngine,
			Evidence: []string{"the engine that answers does not know the client container, so it is not the one that runs it"},
			Hint:     "say with --socket-path where the socket of the engine is that runs your containers, or use --access endpoint",
			Err:      errors.New("the API that the container was given is another engine's"),
		}
	}
	return err
}

// engine is the API's. What the work tells of it is not asked again.
func (j *job) engine(settings connection.Settings, api *connection.Connection) engine.Engine {
	return engine.Engine{
		API:  api.API,
		Host: settings.EngineHost(),
		Describe: func(ctx context.Context) (connection.Description, error) {
			if j.Description != nil {
				return *j.Description, nil
			}
			return api.Describe(ctx)
		},
		AgentImage: func(ctx context.Context) (string, error) {
			return agentimage.EnsureNear(ctx, api.API, self{}, api.Platform)
		},
		RegistryAuth: func(string) (string, error) {
			if j.NoRegistryAuth != "" {
				return "", errors.New(j.NoRegistryAuth)
			}
			return j.RegistryAuth, nil
		},
	}
}

// self is this program as the only agent there is.
type self struct{}

// Open opens the program's own file under whatever agent's name.
func (self) Open(name string) (fs.File, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path) //nolint:gosec // the program itself
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return file, nil
}

func outcome(connected bool, measured *report.Report, err error) client.Outcome {
	o := client.Outcome{Connected: connected, Report: measured}
	if err == nil {
		return o
	}
	o.Error = err.Error()
	if fault := new(report.Fault); errors.As(err, &fault) {
		finding := diagnosis.Finding(fault)
		o.Fault = &finding
	}
	return o
}

// messages is the client's stdout, and with it the experiment's progress.
type messages struct{ *lines }

// Step implements experiment.Progress. Whoever does not listen any more will end
// the lease too, so errors are left to that.
func (m messages) Step(what string) func() {
	_ = m.send(client.Message{Step: what})
	return func() {}
}

// Note implements experiment.Progress.
func (m messages) Note(what string) { _ = m.send(client.Message{Note: what}) }

// Pull implements experiment.Progress.
func (m messages) Pull(stream io.Reader) error {
	defer m.Step("Pulling the image")()
	return jsonmessage.DisplayJSONMessagesStream(stream, io.Discard, 0, false, nil)
}
