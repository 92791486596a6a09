//go:build linux

package plugin_test

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/volume"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// While a client has the key of the user's endpoint, the key is nowhere on the engine's
// disk or in its API.
func TestKeysStayInMemory(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Toolbox)
	key, err := os.ReadFile(filepath.Join(b.CertDir, "key.pem"))
	assert.NilError(t, err)
	r := keepRelay(t, b, 2, "--access", "endpoint")
	assert.Check(t, is.DeepEqual(b.find(t, traces(t, key)), []string(nil)))

	// The search finds keys where they are.
	planted := b.plant(t, key)
	found := b.find(t, traces(t, key))
	for _, place := range planted {
		assert.Check(t, is.Contains(found, place))
	}
	r.removeKept(t, r.stderr)
	r.awaitGone(t) // a stopped container that removes itself may be listed for a moment
	checkNothingLeft(t, b.Engine)
}

// traces are byte sequences that show a key: its bytes, the lines of its PEM, and parts
// of both in base64, as JSON has them. They are several parts, since lines may break
// anywhere.
func traces(t *testing.T, key []byte) [][]byte {
	t.Helper()
	block, _ := pem.Decode(key)
	assert.Assert(t, block != nil)
	lines := strings.Split(strings.TrimSpace(string(key)), "\n")
	all := [][]byte{block.Bytes}
	for _, line := range lines[1 : len(lines)-1] {
		all = append(all, []byte(line)[:min(len(line), 24)])
	}
	for _, secret := range [][]byte{key, block.Bytes} {
		for shift := range 3 { // where a group of three bytes begins
			encoded := base64.StdEncoding.EncodeToString(secret[shift:])
			all = append(all, []byte(encoded[len(encoded)/2:len(encoded)/2+24]))
		}
	}
	return all
}

// find returns the places on an engine that contain a trace.
func (b *bench) find(t *testing.T, traces [][]byte) []string {
	t.Helper()
	var found []string
	search := func(place string, content io.Reader, err error) {
		assert.NilError(t, err, "%s", place)
		data, err := io.ReadAll(content)
		assert.NilError(t, err, "%s", place)
		assert.Assert(t, len(data) > 0 || strings.HasPrefix(place, "logs "), "%s is empty", place)
		for _, trace := range traces {
			if bytes.Contains(data, trace) {
				found = append(found, place)
				return
			}
		}
	}
	ctx := t.Context()
	containers, err := b.api.ContainerList(ctx, container.ListOptions{All: true})
	assert.NilError(t, err)
	for _, c := range containers {
		name := strings.TrimPrefix(c.Names[0], "/")
		_, inspected, err := b.api.ContainerInspectWithRaw(ctx, c.ID, true)
		search("inspect "+name, bytes.NewReader(inspected), err)
		files, err := b.api.ContainerExport(ctx, c.ID)
		search("files "+name, files, err)
		if logs, err := b.api.ContainerLogs(ctx, c.ID, container.LogsOptions{ShowStdout: true, ShowStderr: true}); err == nil {
			search("logs "+name, logs, nil) // other log drivers keep none
		}
	}
	images, err := b.api.ImageList(ctx, image.ListOptions{All: true})
	assert.NilError(t, err)
	for _, i := range images {
		saved, err := b.api.ImageSave(ctx, []string{i.ID}) // its history included
		search("image "+i.ID, saved, err)
	}
	volumes, err := b.api.VolumeList(ctx, volume.ListOptions{})
	assert.NilError(t, err)
	asJSON, err := json.Marshal(volumes)
	search("volumes", bytes.NewReader(asJSON), err)
	return append(found, b.findOnDisk(t, traces)...)
}

// findOnDisk searches all files of the engine's daemon, volumes and the files of its
// runtime included, and the arguments and environments of its containers' processes.
func (b *bench) findOnDisk(t *testing.T, traces [][]byte) []string {
	t.Helper()
	var found []string
	search := func(path string) {
		data, err := os.ReadFile(path)
		if os.IsNotExist(err) { // the engine has just removed it
			return
		}
		assert.NilError(t, err)
		for _, trace := range traces {
			if bytes.Contains(data, trace) {
				found = append(found, "file "+strings.TrimPrefix(path, b.LogDir+"/"))
				return
			}
		}
	}
	files := 0
	err := filepath.WalkDir(b.LogDir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case os.IsNotExist(err):
			return nil
		case err != nil:
			return err
		case path == b.CertDir: // the user's own files, on this machine
			return fs.SkipDir
		case entry.Type().IsRegular():
			files++
			search(path)
		}
		return nil
	})
	assert.NilError(t, err)
	assert.Assert(t, files > 50, "the engine has its files in another folder: only %d are in %s", files, b.LogDir)
	for _, c := range b.containers(t) {
		inspected, err := b.api.ContainerInspect(t.Context(), c.ID)
		assert.NilError(t, err)
		for _, name := range []string{"environ", "cmdline"} {
			search(fmt.Sprintf("/proc/%d/%s", inspected.State.Pid, name))
		}
	}
	return found
}

// plant puts a key into every kind of place where it must not be, and returns the places.
func (b *bench) plant(t *testing.T, key []byte) []string {
	t.Helper()
	ctx := t.Context()
	run := func(name string, config container.Config, host *container.HostConfig) {
		config.Image = b.image
		_, err := b.api.ContainerCreate(ctx, &config, host, nil, nil, name)
		assert.NilError(t, err)
	}
	copyIn := func(name, folder string) {
		var archive bytes.Buffer
		w := tar.NewWriter(&archive)
		assert.NilError(t, w.WriteHeader(&tar.Header{Name: "key.pem", Mode: 0o600, Size: int64(len(key))}))
		_, err := w.Write(key)
		assert.NilError(t, errors.Join(err, w.Close()))
		assert.NilError(t, b.api.CopyToContainer(ctx, name, folder, &archive, container.CopyToContainerOptions{}))
	}
	inBase64 := base64.StdEncoding.EncodeToString(key)
	run("planted-env", container.Config{Env: []string{"KEY=" + inBase64}}, nil)
	run("planted-label", container.Config{Labels: map[string]string{"key": string(key)}}, nil)
	run("planted-file", container.Config{}, nil)
	copyIn("planted-file", "/")
	run("planted-volume", container.Config{}, &container.HostConfig{Binds: []string{"planted:/data"}})
	copyIn("planted-volume", "/data")
	run("planted-log", container.Config{Cmd: []string{"--exit-code", "1", "--log", inBase64}}, nil)
	exits, errs := b.api.ContainerWait(ctx, "planted-log", container.WaitConditionNextExit)
	assert.NilError(t, b.api.ContainerStart(ctx, "planted-log", container.StartOptions{}))
	select {
	case <-exits:
	case err := <-errs:
		assert.NilError(t, err)
	}
	committed, err := b.api.ContainerCommit(ctx, "planted-file", container.CommitOptions{})
	assert.NilError(t, err)
	return []string{
		"inspect planted-env", "inspect planted-label", "files planted-file", "logs planted-log",
		"image " + committed.ID, "file data/volumes/planted/_data/key.pem",
	}
}
