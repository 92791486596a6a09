// Package agents embeds the agent's binaries, which `make build` puts into this folder,
// compressed. Only the plugin imports it. Package agentimage cannot embed them, because the
// agent imports that package and would contain itself.
package agents

import (
	"embed"
	"fmt"
	"io/fs"

	"github.com/klauspost/compress/zstd"
)

// Extension is the extension of a file that is compressed with zstd (RFC 8878).
const Extension = ".zst"

// Files are the files of this folder. README.md is always there, because go:embed needs a
// file.
var Files = Unpacker{packed}

//go:embed *
var packed embed.FS

// Unpacker reads files that may be compressed.
type Unpacker struct {
	packed fs.ReadFileFS
}

// ReadFile returns the content of a file. If there is only one with Extension after its
// name, it is unpacked, which takes about 50 ms for an agent. The error is
// [fs.ErrNotExist] if there is neither.
func (u Unpacker) ReadFile(name string) ([]byte, error) {
	content, err := u.packed.ReadFile(name)
	if err == nil {
		return content, nil
	}
	content, packedErr := u.packed.ReadFile(name + Extension)
	if packedErr != nil {
		return nil, err
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer decoder.Close()
	unpacked, err := decoder.DecodeAll(content, nil)
	if err != nil {
		return nil, fmt.Errorf("unpacking %s: %w", name, err)
	}
	return unpacked, nil
}
