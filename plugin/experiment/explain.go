package experiment

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// explain finds out why a server's probes failed. What takes a helper is found
// out for a server that is reached at no address alone.
func (r *run) explain(ctx context.Context, s *server, probes []report.Probe) ([]report.Finding, error) {
	for _, i := range []*inspection{&s.found, &r.client} {
		if err := r.networks.complete(ctx, i); err != nil {
			return nil, err
		}
	}
	vantage := diagnosis.Vantage{
		Name:      r.vantage.Name,
		Container: r.vantage.Container != "" && !r.client.facts.HostNetwork,
		NoNetwork: r.client.facts.NoNetwork,
		Networks:  r.client.facts.Networks,
	}
	if r.vantage.Container == "" {
		vantage.Routes = routes(s.found.facts.Networks)
	}
	return diagnosis.Explain(diagnosis.Facts{
		Engine:   engineFacts(r.engine.Host, r.description.Endpoint.Engine),
		Server:   s.facts(),
		Vantages: []diagnosis.Vantage{vantage},
	}, probes), nil
}

// facts are what is known of the server.
func (s *server) facts() diagnosis.Server {
	facts := serverFacts(s.name, s.run.spec.Port, s.found)
	if s.exit != nil {
		facts.Exit = s.fault()
	}
	return facts
}

func serverFacts(name string, port uint16, found inspection) diagnosis.Server {
	return diagnosis.Server{
		Name:        name,
		Port:        port,
		HostNetwork: found.facts.HostNetwork,
		NoNetwork:   found.facts.NoNetwork,
		Networks:    found.facts.Networks,
		Bindings:    found.facts.Bindings,
		Wanted:      found.facts.Wanted,
	}
}

// engineFacts reads what an engine says of itself.
func engineFacts(host string, engine report.Engine) diagnosis.Engine {
	facts := diagnosis.Engine{
		Host:     host,
		Podman:   strings.HasPrefix(engine.Product, "Podman"),
		Rootless: engine.Rootless,
		Desktop:  engine.Desktop,
	}
	if !facts.Podman {
		major, _, _ := strings.Cut(engine.Version, ".")
		facts.Major, _ = strconv.Atoi(major)
	}
	return facts
}

// reached says whether some address works.
func reached(probes []report.Probe) bool {
	return slices.ContainsFunc(probes, func(p report.Probe) bool { return p.OK })
}
