package engine

import (
	"context"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/self"
)

// Locate records where the engine is, as seen from this process: in which container this
// process is, which host the endpoint leads to, and the addresses of that host if it is this
// machine. An error says which call the engine has not answered; what is recorded is what
// is known without that.
func (e *Engine) Locate(ctx context.Context, api self.API, settings connection.Settings) (err error) {
	e.Self, err = self.Find(ctx, api, self.At(settings), e.Omitted)
	e.locate(settings)
	return err
}

// LocateIn is Locate for a process in the container with a name or ID; in no container, if the
// name is empty.
func (e *Engine) LocateIn(ctx context.Context, api self.API, settings connection.Settings, name string) (err error) {
	if name != "" {
		e.Self, err = self.In(ctx, api, self.At(settings), name, e.Omitted)
	}
	e.locate(settings)
	return err
}

func (e *Engine) locate(settings connection.Settings) {
	e.Host, e.Loopback = settings.EngineHost(), settings.IsLoopback()
	if e.Self.EndpointInContainer() {
		e.Host = ""
	}
	// A container has addresses of its own, and a loopback endpoint may be one end of a
	// tunnel.
	if e.Host == "" && !e.Loopback && e.Self.OnHost() {
		e.HostAddresses = facts.DefaultAddresses()
	}
}
