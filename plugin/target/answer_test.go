package target

import (
	"testing"

	"github.com/docker/docker/api/types/container"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/target/meaning"
)

// ofService is a container of a service of the Compose project shop; of none if it is empty.
func ofService(service string) container.InspectResponse {
	config := &container.Config{Labels: map[string]string{}}
	if service != "" {
		config.Labels = map[string]string{meaning.LabelService: service, meaning.LabelProject: "shop"}
	}
	return container.InspectResponse{ContainerJSONBase: &container.ContainerJSONBase{Name: "/shop-web-1"}, Config: config}
}

// A command that is printed has its equivalent in the Compose file of its container.
func TestFixesInCompose(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		client, server, command string
		networks                []string // of the client
		compose                 []string
		then                    string
	}{
		{"six", "web", "docker network connect shop_front six", []string{"shop_dual"}, []string{"six: { networks: [dual, front] }"}, "web:80"},
		{"six", "web", "docker network connect other six", []string{"shop_default"}, []string{"six: { networks: [default, other] }", "networks: { other: { external: true } }"}, "web:80"},
		{"", "web", "docker network connect shop_front six", []string{"bridge"}, nil, "web:80"},
		{"six", "web", "docker network connect 'shop_a b' six", []string{"shop_dual"}, nil, ""},
		{"six", "web", "docker network connect shop_front six", []string{"a]: {"}, nil, "web:80"},
		{"a: b", "web", "docker network connect shop_front six", nil, nil, "web:80"},
		{"six", "web", "docker run --publish 8088:80 ...", nil, []string{`web: { ports: ["8088:80"] }`}, ""},
		{"six", "", "docker run --publish 8088:80 ...", nil, nil, ""},
		{"six", "", "docker run --add-host host.docker.internal:host-gateway ...", nil, []string{`six: { extra_hosts: ["host.docker.internal:host-gateway"] }`}, ""},
		{"six", "web", "docker logs shop-web-1", nil, nil, ""},
	} {
		r := &run{report: report.New("diagnose")}
		server := ofService(test.server)
		r.report.Servers = []report.Server{{ID: "0123", Name: "shop-web-1"}}
		r.found.Service, r.found.Aliases = test.server, []string{test.server}
		r.known.Container, r.known.Server = &server, facts.Server{Name: "shop-web-1", Port: 80}
		client := &place{vantage: probing.Vantage{Name: "container:six"}}
		client.found.Inspection = ofService(test.client)
		for _, name := range test.networks {
			client.found.Networks = append(client.found.Networks, facts.Network{Name: name})
		}
		r.places = []*place{client}
		findings := []report.Finding{{Commands: []string{test.command}}}
		r.addFixes(findings)
		assert.DeepEqual(t, findings[0].Compose, test.compose)
		assert.Equal(t, findings[0].Then, test.then, test.command)
	}
}
