package main

import (
	"context"
	"fmt"
	"time"

	"github.com/docker/docker/api/types/mount"

	"github.com/nestprobe/docker-nestprobe/plugin/client"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// guardTimeout bounds the removal of what a relay has left. What remains has a deadline.
const guardTimeout = time.Minute

// guardRole waits for the end of its stdin, which a kept relay holds, and then removes what
// the relay has left: servers from a user's image have no lease.
func guardRole(ctx context.Context, _ []string, std stdio) error {
	return runJob(ctx, std, func(ctx context.Context, eng engine.Engine, j *job) (*report.Report, error) {
		if err := j.out.send(client.Message{Ready: true}); err != nil {
			return nil, err
		}
		<-ctx.Done()
		removing, cancel := context.WithTimeout(context.WithoutCancel(ctx), guardTimeout)
		defer cancel()
		_, err := engine.RemoveRun(removing, eng, j.Run, j.Container)
		return nil, err
	})
}

// startGuard starts a guard with the relay's access to the Docker API. The caller releases
// its lease.
func (j *job) startGuard(ctx context.Context, eng engine.Engine) (*engine.Agent, error) {
	image, err := eng.AgentImage(ctx)
	if err != nil {
		return nil, err
	}
	own, err := eng.API.ContainerInspect(ctx, j.Container)
	if err != nil {
		return nil, fmt.Errorf("inspecting the relay: %w", err)
	}
	labels := j.Request.Labels(j.Run, time.Now())
	labels.Runner = own.ID
	c := engine.NewAgentContainer("nestprobe-"+j.Run+"-guard", image, "guard", labels)
	c.Config.User = own.Config.User
	c.HostConfig.GroupAdd = own.HostConfig.GroupAdd
	for _, m := range own.Mounts { // Podman 4.3 has none in HostConfig
		c.HostConfig.Mounts = append(c.HostConfig.Mounts, mount.Mount{Type: m.Type, Source: m.Source, Target: m.Destination})
	}
	c.HostConfig.NetworkMode = own.HostConfig.NetworkMode
	c.HostConfig.Memory, c.HostConfig.PidsLimit = own.HostConfig.Memory, own.HostConfig.PidsLimit
	guard, err := eng.StartAgent(ctx, ctx, c)
	if err != nil {
		return nil, err
	}
	err = guard.Send(client.Job{Run: j.Run, Endpoint: j.Endpoint, Container: guard.ID})
	if err == nil {
		err = awaitReady(ctx, guard)
	}
	if err != nil {
		guard.Lease.Release()
		return nil, err
	}
	return guard, nil
}

// awaitReady waits until a guard has connected to the Docker API.
func awaitReady(ctx context.Context, guard *engine.Agent) error {
	for {
		var message client.Message
		if err := guard.Receive(ctx, &message); err != nil {
			return err
		}
		switch {
		case message.Ready:
			return nil
		case message.Outcome != nil:
			return fmt.Errorf("the guard does not reach the Docker API: %s", message.Outcome.Error)
		}
	}
}

// needsGuard says whether a kept relay starts what does not end with it.
func (j *job) needsGuard() bool {
	return !j.Request.Builtin() || j.Request.Connection.Temporary != nil
}
