package engine

import (
	"context"
	"errors"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/system"
	"github.com/docker/go-connections/nat"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

// What runtimes say if the cgroups have no controller for a limit.
func TestLimitRefused(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]bool{
		"crun: open `memory.max` for writing: No such file or directory: OCI runtime attempted to invoke a command that was not found": true,
		"crun: controller `pids` is not available under /sys/fs/cgroup/libpod_parent/libpod-1f/cgroup.controllers: OCI runtime error":  true,
		"runc create failed: unable to start container process: cannot set memory limit: container could not join or create cgroup":    true,
		"runc create failed: openat2 /sys/fs/cgroup/docker/1f/pids.max: no such file or directory":                                     true,
		"crun: open `/app`: No such file or directory":                                                                                 false,
	} {
		assert.Check(t, is.Equal(limitRefused.MatchString(message), want), message)
	}
}

// limitedEngine is an engine of which only the limits matter.
type limitedEngine struct {
	API
	limits  bool
	removed *int
}

func (e limitedEngine) Info(context.Context) (system.Info, error) {
	return system.Info{MemoryLimit: e.limits, PidsLimit: true}, nil
}

func (e limitedEngine) ContainerRemove(context.Context, string, container.RemoveOptions) error {
	*e.removed++
	return nil
}

// A start is repeated without limits if they are refused. Where it could not be repeated, since
// the user has chosen a port that Podman then holds, the engine is asked before.
func TestStartLimited(t *testing.T) {
	t.Parallel()
	chosen, free := nat.PortMap{"80/tcp": {{HostPort: "8080"}}}, nat.PortMap{"80/tcp": {{HostPort: ""}}}
	refused, other := errors.New("crun: open `memory.max` for writing: No such file or directory"), errors.New("no space left on device")
	for name, test := range map[string]struct {
		product string
		ports   nat.PortMap
		limits  bool  // that the engine says it has
		fails   error // of a start with limits
		starts  []bool
		want    error
	}{
		"limits":                       {"Podman Engine", chosen, true, nil, []bool{true}, nil},
		"no limits, and a chosen port": {"Podman Engine", chosen, false, refused, []bool{false}, nil},
		"no limits, and a free port":   {"Podman Engine", free, false, refused, []bool{true, false}, nil},
		"refused by Docker":            {"Docker Engine", chosen, false, refused, []bool{true, false}, nil},
		"another error":                {"Podman Engine", free, true, other, []bool{true}, other},
		"an unknown engine":            {"", chosen, false, nil, []bool{true}, nil},
	} {
		removed := 0
		e := Engine{API: limitedEngine{limits: test.limits, removed: &removed}}
		if test.product != "" {
			e.Product = func() string { return test.product }
		}
		var starts []bool
		err := e.StartLimited(t.Context(), "web", test.ports, func(limited bool) (*Lease, error) {
			starts = append(starts, limited)
			if limited {
				return nil, test.fails
			}
			return nil, nil
		})
		assert.Check(t, is.ErrorIs(err, test.want), name)
		assert.Check(t, is.DeepEqual(starts, test.starts), name)
		assert.Check(t, is.Equal(removed, len(starts)-1), name)
	}
}
