package target

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/docker/docker/api/types/container"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
)

// incompleteEngine answers every inspection with the same document.
type incompleteEngine struct {
	engine.API
	answer string
}

func (e incompleteEngine) ContainerInspect(context.Context, string) (container.InspectResponse, error) {
	var response container.InspectResponse
	err := json.Unmarshal([]byte(e.answer), &response)
	return response, err
}

// An engine's inspection of a container may lack any field. Some of these answers are
// recorded and some are made up: no real engine gives them on demand.
func TestIncompleteInspections(t *testing.T) {
	t.Parallel()
	for answer, port := range map[string]uint16{
		`{}`:                              0,
		`{"Config": {}}`:                  0,
		`{"Id": "", "Name": "/web"}`:      0,
		`{"Id": "1", "State": "running"}`: 0, // of another type
		`{"Id": "1"}`:                     0,
		`{"Id": "1", "Config": {"ExposedPorts": {"x/tcp": {}, "99999/tcp": {}, "80/udp": {}}}}`:                                                           0,
		`{"Id": "1", "Config": {"ExposedPorts": {"80": {}}}, "NetworkSettings": {"Networks": {"a": null}}}`:                                               80,
		`{"Id": "1", "HostConfig": {"PortBindings": {"80/tcp": [{}]}}, "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "x", "HostPort": "-1"}]}}}`:    80,
		`{"Id": "1", "Config": {"ExposedPorts": {"80/tcp": {}, "90/tcp": {}}}, "HostConfig": {"PortBindings": {"80/tcp": null, "90/tcp": [{}]}}}`:         90, // Podman's
		`{"Id": "1", "Config": {"ExposedPorts": {"80/tcp": {}}}, "NetworkSettings": {"Networks": {"a": {"IPAddress": "\u001b[2J", "Gateway": "::1%x"}}}}`: 80,
	} {
		r := newRun(engine.Engine{API: incompleteEngine{answer: answer}}, Target{Container: "web"}, nil)
		response, err := r.meant.Find(t.Context(), "web")
		if err == nil {
			var got uint16
			got, err = targetPort(response, r.target)
			assert.Check(t, err != nil || got == port, "%s: %d", answer, got)
		}
		assert.Check(t, (err == nil) == (port != 0), "%s: %v", answer, err)
		if err == nil {
			r.setServer(response, port)
			assert.Check(t, r.downFault(t.Context(), response) == nil, answer) // its state is not known
		}
	}
}
