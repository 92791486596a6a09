package meaning

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
)

// engineOf has containers, which it returns as JSON documents of the API.
type engineOf struct {
	engine.API

	containers map[string][]string // by name or id
	summaries  []container.Summary
}

func (e *engineOf) ContainerInspect(_ context.Context, name string) (response container.InspectResponse, err error) {
	if len(e.containers[name]) == 0 {
		return response, fmt.Errorf("no such container: %w", cerrdefs.ErrNotFound)
	}
	return inspectionOf(e.containers[name][0])
}

func inspectionOf(text string) (response container.InspectResponse, err error) {
	return response, json.Unmarshal([]byte(text), &response)
}

// ContainerList filters by networks and labels.
func (e *engineOf) ContainerList(_ context.Context, options container.ListOptions) ([]container.Summary, error) {
	return slices.DeleteFunc(slices.Clone(e.summaries), func(c container.Summary) bool {
		for _, network := range options.Filters.Get("network") {
			if c.NetworkSettings == nil || c.NetworkSettings.Networks[network] == nil {
				return true
			}
		}
		for _, label := range options.Filters.Get("label") {
			if name, value, _ := strings.Cut(label, "="); c.Labels[name] != value {
				return true
			}
		}
		return false
	}), nil
}
