package reaper_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/reaper"
)

// lateEngine makes a container some time after the test began, and a network at once. It is a
// fake because a real engine is not late when a test wants it to be.
type lateEngine struct {
	engine.API
	began time.Time
	late  time.Duration

	mu      sync.Mutex
	removed []string
}

func (e *lateEngine) has(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.removed {
		if r == id {
			return false
		}
	}
	return true
}

func (e *lateEngine) remove(id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.removed = append(e.removed, id)
	return nil
}

func (e *lateEngine) ContainerList(_ context.Context, options container.ListOptions) ([]container.Summary, error) {
	if time.Since(e.began) < e.late || !e.has("server") || !options.Filters.ExactMatch("label", engine.LabelRun+"=mine") {
		return nil, nil
	}
	return []container.Summary{{ID: "server", State: "created"}}, nil
}

func (e *lateEngine) NetworkList(_ context.Context, options network.ListOptions) ([]network.Summary, error) {
	if !e.has("net") || !options.Filters.ExactMatch("label", engine.LabelRun+"=mine") {
		return nil, nil
	}
	return []network.Summary{{ID: "net", Name: "net"}}, nil
}

func (e *lateEngine) NetworkInspect(context.Context, string, network.InspectOptions) (network.Inspect, error) {
	return network.Inspect{}, nil
}

func (e *lateEngine) ContainerRemove(_ context.Context, id string, _ container.RemoveOptions) error {
	return e.remove(id)
}
func (e *lateEngine) NetworkRemove(_ context.Context, id string) error { return e.remove(id) }

// What the engine makes up to ten seconds after the command's end is removed, also if the
// engine does not answer at first.
func TestReap(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		lines       string
		unreachable int // how often the engine cannot be reached at first
		want        []string
		written     string
	}{
		"killed":                 {"run other\nrun mine\n", 0, []string{"net", "server"}, "removed\n"},
		"an engine that is gone": {"run mine\n", 5, []string{"net", "server"}, "removed\n"},
		"ended":                  {"run mine\ndone\n", 0, nil, ""},
		"nothing was made":       {"", 0, nil, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			api := &lateEngine{began: time.Now(), late: 8 * time.Second}
			connected := 0
			connect := func(context.Context) (engine.Engine, func(), error) {
				if connected++; connected <= test.unreachable {
					return engine.Engine{}, nil, errors.New("connection refused")
				}
				return engine.Engine{API: api}, func() {}, nil
			}
			var out bytes.Buffer
			err := reaper.Reap(t.Context(), strings.NewReader(test.lines), &out, connect)
			assert.Check(t, err, name)
			assert.Check(t, is.DeepEqual(api.removed, test.want), name)
			assert.Check(t, is.Equal(out.String(), test.written), name)
		})
	}
}

// An engine that does not come back is given up after a minute.
func TestReapGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began, refused := time.Now(), errors.New("connection refused")
		err := reaper.Reap(t.Context(), strings.NewReader("run mine\n"), &bytes.Buffer{}, func(context.Context) (engine.Engine, func(), error) {
			return engine.Engine{}, nil, refused
		})
		assert.Check(t, is.ErrorIs(err, refused))
		assert.Check(t, is.Equal(time.Since(began), time.Minute))
	})
}
