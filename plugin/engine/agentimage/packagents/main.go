// Packagents compresses the agent's binaries, so that the plugin that embeds them is
// smaller, and writes the digest of each one's image, so that no start of the plugin has to
// hash them:
//
//	go run ./plugin/engine/agentimage/packagents -out plugin/engine/agentimage/agents bin/agents/nestprobe-agent-linux-*
//
// The same binary always gives the same files. `make agents` calls it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/nestprobe/docker-nestprobe/plugin/engine/agentimage"
	"github.com/nestprobe/docker-nestprobe/plugin/engine/agentimage/agents"
)

func main() {
	out := flag.String("out", ".", "`folder` for the files")
	flag.Parse()
	if err := packAll(*out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "packagents:", err)
		os.Exit(1)
	}
}

// packAll packs the binaries into a folder, and removes from it what else is called like an
// agent: everything there is embedded.
func packAll(out string, binaries []string) error {
	if len(binaries) == 0 {
		return errors.New("name the binaries of the agent")
	}
	wanted := map[string]bool{}
	for _, path := range binaries {
		name := filepath.Base(path)
		wanted[name+agents.Extension], wanted[name+agentimage.DigestExtension] = true, true
		if err := pack(path, filepath.Join(out, name)); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	there, err := filepath.Glob(filepath.Join(out, agentimage.FileName("*", "*")))
	if err != nil {
		return err
	}
	for _, path := range there {
		if !wanted[filepath.Base(path)] {
			err = errors.Join(err, os.Remove(path))
		}
	}
	return err
}

// pack writes target with the two extensions, unless they are there for this binary: the
// compression takes a second.
func pack(path, target string) error {
	binary, err := os.ReadFile(path) //nolint:gosec // named by the caller
	if err != nil {
		return err
	}
	digest, err := digestOf(filepath.Base(path), binary)
	if err != nil {
		return err
	}
	digestFile := target + agentimage.DigestExtension
	known, _ := os.ReadFile(digestFile) //nolint:gosec // in the folder that the caller has named
	if _, err := os.Stat(target + agents.Extension); err == nil && string(known) == digest {
		return nil
	}
	if err := os.Remove(digestFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	packed, err := compress(binary)
	if err != nil {
		return err
	}
	if err := os.WriteFile(target+agents.Extension, packed, 0o644); err != nil { //nolint:gosec // as any other file of the build
		return err
	}
	return os.WriteFile(digestFile, []byte(digest), 0o644) //nolint:gosec // as any other file of the build
}

// digestOf is the digest of the image with a binary, whose name says its platform.
func digestOf(name string, binary []byte) (string, error) {
	parts := strings.Split(name, "-")
	if len(parts) < 2 {
		return "", errors.New("the name does not end with -OS-ARCH")
	}
	system, arch := parts[len(parts)-2], parts[len(parts)-1]
	if name != agentimage.FileName(system, arch) {
		return "", fmt.Errorf("an agent for this platform is called %s", agentimage.FileName(system, arch))
	}
	return agentimage.Digest(binary, system, arch)
}

// window is how far back repeated content is found: in the whole agent.
const window = 16 << 20

func compress(binary []byte) ([]byte, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	packed := encoder.EncodeAll(binary, nil)
	return packed, encoder.Close()
}
