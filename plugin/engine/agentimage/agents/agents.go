// Package agents holds the agent's binaries, which `make build` puts into this
// folder. They are a package of their own because only the plugin carries them:
// the agent, which uses the package above too, would otherwise contain itself.
package agents

import "embed"

// Files are the files of this folder, nestprobe-agent-OS-ARCH among them if they
// have been built. The folder is never empty, as go:embed wants it.
//
//go:embed *
var Files embed.FS
