// Package agents embeds the agent's binaries, which `make build` puts into this folder.
// Only the plugin imports it. Package agentimage cannot embed them, because the agent
// imports that package and would contain itself.
package agents

import "embed"

// Files are the files of this folder, including nestprobe-agent-OS-ARCH if they have
// been built. README.md is always there, because go:embed needs a file.
//
//go:embed *
var Files embed.FS
