package checks

import (
	"io/fs"
	"time"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
)

// Input is the context to check, and what the checks need to know of this process.
type Input struct {
	// Context is the name of the context, or empty if the Report has only one.
	Context string
	// Docker is the start of commands for this context, such as docker --context NAME.
	Docker string
	// Resolve returns the endpoint and the source of each of its settings.
	Resolve func() (connection.Settings, connection.Sources, error)
	// Environment returns a variable of this process.
	Environment func(name string) string
	// ContainerProxies returns the proxy settings that docker's configuration adds to
	// new containers on the engine at host.
	ContainerProxies func(host string) ConfiguredProxies
	// Agents are the agent binaries (see package agentimage).
	Agents fs.FS
	// Timeout limits one attempt at one address. The engine may take longer (see
	// [AnswerTimeout]).
	Timeout time.Duration
}
