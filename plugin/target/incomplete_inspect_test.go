package target

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"gotest.tools/v3/assert"
)

// oddEngine answers every inspection with the same document, as no engine here
// does.
type oddEngine struct {
	engine.API
	answer string
}

func (o oddEngine) ContainerInspect(context.Context, string) (container.InspectResponse, error) {
	var response container.InspectResponse
	err := json.Unmarshal([]byte(o.answer), &response)
	return response, err
}

// What an engine says of a container may lack anything. These are recorded or made
// up answers, because no real engine gives them on demand.
func TestOddInspections(t *testing.T) {
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
		e := newTargetDiagnosis(engine.Engine{API: oddEngine{answer: answer}}, Target{Container: "web"}, nil)
		response, err := e.find(t.Context(), "web")
		if err == nil {
			var got uint16
			got, err = targetPort(response, e.target)
			assert.Check(t, err != nil || got == port, "%s: %d", answer, got)
		}
		assert.Check(t, (err == nil) == (port != 0), "%s: %v", answer, err)
		if err == nil {
			e.setServer(response, port)
			assert.Check(t, e.down(t.Context(), response) == nil, answer) // nothing is known of its state
		}
	}
}
