package agentimage

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"gotest.tools/v3/assert"
)

func sample() Archive {
	return Archive{
		Tag:          "sample:1",
		Binary:       []byte("#!not really a program"),
		BinaryName:   "program",
		OS:           "linux",
		Arch:         "arm64",
		Entrypoint:   []string{"/program", "--flag"},
		User:         "65534:65534",
		Labels:       map[string]string{"b": "2", "a": "1", "c": "3"},
		ExposedPorts: []string{"4647/tcp", "53/udp"},
	}
}

func bytesOf(t *testing.T, a Archive) []byte {
	t.Helper()
	var out bytes.Buffer
	n, err := a.WriteTo(&out)
	assert.NilError(t, err)
	assert.Equal(t, n, int64(out.Len()))
	return out.Bytes()
}

// entry is one file of a tar.
type entry struct {
	header *tar.Header
	data   []byte
}

func untar(t *testing.T, data []byte) map[string]entry {
	t.Helper()
	entries := map[string]entry{}
	for archive := tar.NewReader(bytes.NewReader(data)); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return entries
		}
		assert.NilError(t, err)
		content, err := io.ReadAll(archive)
		assert.NilError(t, err)
		entries[header.Name] = entry{header, content}
	}
}

const sampleConfig = `{
  "architecture": "arm64",
  "config": {
    "Entrypoint": ["/program", "--flag"],
    "ExposedPorts": {"4647/tcp": {}, "53/udp": {}},
    "Labels": {"a": "1", "b": "2", "c": "3"},
    "User": "65534:65534",
    "WorkingDir": "/"
  },
  "created": "1970-01-01T00:00:00Z",
  "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "COPY program /"}],
  "os": "linux",
  "rootfs": {"type": "layers", "diff_ids": ["DIFF"]}
}`

func TestArchiveHasManifestConfigAndLayer(t *testing.T) {
	t.Parallel()
	entries := untar(t, bytesOf(t, sample()))
	assert.Equal(t, len(entries), 3)

	var manifest []map[string]any
	assert.NilError(t, json.Unmarshal(entries["manifest.json"].data, &manifest))
	layer := entries["layer.tar"]
	diffID := digest.FromBytes(layer.data).String()
	var want bytes.Buffer
	assert.NilError(t, json.Compact(&want, []byte(strings.Replace(sampleConfig, "DIFF", diffID, 1))))
	configName := digest.FromBytes(want.Bytes()).Encoded() + ".json"
	assert.DeepEqual(t, manifest, []map[string]any{{
		"Config":   configName,
		"RepoTags": []any{"sample:1"},
		"Layers":   []any{"layer.tar"},
	}})
	assert.Equal(t, string(entries[configName].data), want.String())

	files := untar(t, layer.data)
	assert.Equal(t, len(files), 1)
	program := files["program"]
	assert.DeepEqual(t, program.data, sample().Binary)
	assert.Equal(t, program.header.Mode, int64(0o555))
	assert.Equal(t, program.header.Uid, 0)
	for name, e := range entries {
		assert.Assert(t, e.header.ModTime.Equal(time.Unix(0, 0)), name)
	}
	assert.Assert(t, program.header.ModTime.Equal(time.Unix(0, 0)))
}

func TestArchiveDefaults(t *testing.T) {
	t.Parallel()
	entries := untar(t, bytesOf(t, Archive{Tag: "t:1", Binary: []byte("x"), BinaryName: "tool", OS: "linux", Arch: "amd64"}))
	for name, e := range entries {
		if name == "manifest.json" || name == "layer.tar" {
			continue
		}
		var config struct{ Config map[string]any }
		assert.NilError(t, json.Unmarshal(e.data, &config))
		assert.DeepEqual(t, config.Config, map[string]any{"Entrypoint": []any{"/tool"}, "WorkingDir": "/"})
	}
}

func TestArchiveIsReproducible(t *testing.T) {
	t.Parallel()
	first := bytesOf(t, sample())
	for range 20 { // the order of a map changes each time
		assert.Assert(t, bytes.Equal(bytesOf(t, sample()), first))
	}
}

func TestArchiveNeedsABinary(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Archive){
		"no binary": func(a *Archive) { a.Binary = nil },
		"no name":   func(a *Archive) { a.BinaryName = "" },
	} {
		archive := sample()
		change(&archive)
		_, err := archive.WriteTo(io.Discard)
		assert.ErrorIs(t, err, errNoBinary, name)
	}
}

// The format of the archive has a limit for names.
func TestArchiveReportsNamesThatDoNotFit(t *testing.T) {
	t.Parallel()
	archive := sample()
	archive.BinaryName = strings.Repeat("x", 300)
	_, err := archive.WriteTo(io.Discard)
	assert.ErrorContains(t, err, "cannot encode header")
}

// failingWriter fails when it has no room for more bytes.
type failingWriter struct{ room int }

var errFull = errors.New("full")

func (w *failingWriter) Write(p []byte) (int, error) {
	if len(p) > w.room {
		n := w.room
		w.room = 0
		return n, errFull
	}
	w.room -= len(p)
	return len(p), nil
}

func TestArchiveReportsTheWritersErrors(t *testing.T) {
	t.Parallel()
	size := len(bytesOf(t, sample()))
	for room := 0; room < size; room += 100 {
		n, err := sample().WriteTo(&failingWriter{room: room})
		assert.ErrorIs(t, err, errFull, "with room for %d", room)
		assert.Equal(t, n, int64(room))
	}
}
