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
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/volume"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// inside are the arguments of an experiment in a client container.
func inside(flags ...string) []string { return append([]string{"in-container"}, flags...) }

// clientMoments are those of in-container at which it may be killed, as the
// plugin's own requests tell of them, and how many clients stay until a command
// after their deadline: those that never ran, and so had no lease to lose.
var clientMoments = []struct {
	name     string
	request  string
	answered bool
	left     int
}{
	{"the image is being loaded", "POST /images/load", false, 0},
	{"the client has been created", "POST /containers/create", true, 1},
	{"the lease has been taken", "POST /containers/ID/attach", true, 1},
	{"the client has been started", "POST /containers/ID/start", true, 0},
	{"the client is being removed", "DELETE /containers/ID", false, 0},
}

// A plugin that is killed takes its client with it, by the lease, and the client
// its servers.
func TestPluginKilledWithClient(t *testing.T) {
	t.Parallel()
	for _, kind := range relayKinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, kind)
			for _, at := range clientMoments {
				t.Run(at.name, func(t *testing.T) {
					killOf(t, b, inside("--access", "socket", "--socket-path", b.Socket), at.request, at.answered, at.left)
				})
			}
			t.Run("through a relay", func(t *testing.T) {
				killOf(t, b, inside("--access", "socket", "--socket-path", b.Socket, "--relay", "--servers", "2"), "GET /containers/ID/json", true, 0)
			})
		})
	}
}

// killOf kills the plugin at its first request of a kind, and waits until only
// so many containers that never ran are left.
func killOf(t *testing.T, b *bench, args []string, request string, answered bool, left int) {
	t.Helper()
	var once sync.Once
	killed := make(chan time.Time, 1)
	tap := startTap(t, b.Engine, func(m moment) {
		if m.is(request, answered) {
			once.Do(func() {
				killed <- time.Now() // first: whoever waits for the end of the process looks at it
				_ = syscall.Kill(m.Client, syscall.SIGKILL)
			})
		}
	})
	p := start(t, through(b.nestprobe(t, args...), tap))
	status := p.status(t)
	assert.Assert(t, is.Len(killed, 1), "the moment did not come: %s", &p.stderr)
	at := <-killed
	assert.Check(t, status != 0, "docker says that all is well")
	all := b.awaitContainers(t, "client and servers to end", func(all []container.Summary) bool { return len(all) == left })
	t.Logf("status %d; settled %s after SIGKILL", status, time.Since(at).Round(time.Millisecond))
	for _, c := range all { // until the deadline
		assert.Check(t, is.Equal(c.State, "created"))
		assert.NilError(t, b.api.ContainerRemove(t.Context(), c.ID, container.RemoveOptions{}))
	}
	checkNothingLeft(t, b.Engine)
}

// workMoments are those of a client's work, as its own requests tell of them.
var workMoments = []struct {
	name     string
	request  string
	answered bool
}{
	{"the network has been made", "POST /networks/create", true},
	{"the server has been created", "POST /containers/create", true},
	{"the lease has been taken", "POST /containers/ID/attach", true},
	{"the server has been started", "POST /containers/ID/start", true},
	{"its addresses are known", "GET /networks/ID", true},
	{"the server is being removed", "DELETE /containers/ID", false},
}

// Whichever is killed at whatever moment of the client's work, the plugin or the
// client, the other removes what there is, what never ran included.
func TestKilledAtWork(t *testing.T) {
	t.Parallel()
	for _, kind := range relayKinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, kind)
			b.succeeds(t, "run", "-q") // to have the agent on the engine
			for _, at := range workMoments {
				for _, role := range []string{"client", "relay"} {
					if role == "relay" && kind == enginetest.Toolbox {
						continue // nobody reaches it past a tap, so it starts nothing
					}
					t.Run(role+" lives, "+at.name, func(t *testing.T) { killAtWork(t, b, role, false, at.request, at.answered) })
					t.Run(role+" dies, "+at.name, func(t *testing.T) { killAtWork(t, b, role, true, at.request, at.answered) })
				}
			}
		})
	}
}

// killAtWork has the client's requests pass a tap, and kills either the client or
// the plugin at the first of a kind.
func killAtWork(t *testing.T, b *bench, role string, client bool, request string, answered bool) {
	t.Helper()
	var once sync.Once
	plugin := make(chan int, 1)
	killed := make(chan time.Time, 1)
	outer := startTap(t, b.Engine, func(m moment) {
		if m.is("POST /containers/create", false) {
			plugin <- m.Client
		}
	})
	inner := startTap(t, b.Engine, func(m moment) {
		if m.is(request, answered) {
			once.Do(func() {
				victim := m.Client
				if !client {
					victim = <-plugin
				}
				killed <- time.Now() // first: whoever waits for the end of the process looks at it
				_ = syscall.Kill(victim, syscall.SIGKILL)
			})
		}
	})
	args := inside("--socket-path", strings.TrimPrefix(inner.Host, "unix://"), "--network-driver", "bridge")
	if role == "relay" {
		args = append(args, "--relay")
	}
	p := start(t, through(b.nestprobe(t, args...), outer))
	status := p.status(t)
	assert.Assert(t, is.Len(killed, 1), "the moment did not come: %s", &p.stderr)
	at := <-killed
	assert.Check(t, status != 0, "docker says that all is well")
	b.gone(t)
	b.networksGone(t)
	t.Logf("status %d; nothing left %s after SIGKILL", status, time.Since(at).Round(time.Millisecond))
}

// waiting is what a client has under way that waits for an answer: the
// arguments, and how many containers run then.
func (b *bench) waiting(image ...string) (args []string, running int) {
	args = inside("--wait", "10m", "--network-driver", "bridge")
	if len(image) == 0 { // the built-in server always answers, if only the client is on a network
		return append(args, "--client-network", "none", "--servers", "3"), 4
	}
	return append(append(args, image...), "--listen", "none"), 2
}

// allRunning waits until so many containers of a command's run.
func (b *bench) allRunning(t *testing.T, p *process, count int) []container.Summary {
	t.Helper()
	return b.awaitContainers(t, fmt.Sprintf("%d running containers of nestprobe's", count), func(all []container.Summary) bool {
		assert.Assert(t, is.Len(p.ended, 0), "it has ended: %s%s", &p.stdout, &p.stderr)
		for _, c := range all {
			if c.State != "running" {
				return false
			}
		}
		return len(all) == count
	})
}

// Whatever is killed while a client waits for its servers: nothing is left. The
// client is not killed, so it removes the servers of the user's and the network
// too.
func TestKilledWhileClientWaits(t *testing.T) {
	t.Parallel()
	for _, kind := range relayKinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, kind)
			for _, images := range [][]string{nil, {b.image}} {
				args, running := b.waiting(images...)
				for name, kill := range map[string]func(*testing.T, *process){
					"the plugin": func(t *testing.T, p *process) { t.Helper(); assert.NilError(t, p.plugin(t).Kill()) },
					"docker":     func(t *testing.T, p *process) { t.Helper(); p.signal(t, syscall.SIGKILL) },
					"both":       func(t *testing.T, p *process) { t.Helper(); p.signalGroup(t, syscall.SIGKILL) },
				} {
					t.Run(fmt.Sprintf("%s with %d servers", name, running-1), func(t *testing.T) {
						p := start(t, b.nestprobe(t, args...))
						b.allRunning(t, p, running)
						kill(t, p)
						began := time.Now()
						p.status(t)
						b.gone(t)
						b.networksGone(t)
						t.Logf("nothing left %s after SIGKILL", time.Since(began).Round(time.Millisecond))
					})
				}
			}
		})
	}
}

func (b *bench) networksGone(t *testing.T) {
	t.Helper()
	limit := time.After(hangs)
	for len(b.networks(t)) > 0 {
		select {
		case <-time.After(look):
		case <-limit:
			t.Fatalf("networks are left: %v", b.networks(t))
		}
	}
}

// A client that is killed takes its built-in servers with it; the command says
// what became of it and removes the rest.
func TestClientKilled(t *testing.T) {
	t.Parallel()
	for _, kind := range relayKinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, kind)
			for _, images := range [][]string{nil, {b.image}} {
				args, running := b.waiting(images...)
				p := start(t, b.nestprobe(t, args...))
				for _, c := range b.allRunning(t, p, running) {
					if strings.Contains(c.Names[0], "-client-") {
						assert.NilError(t, b.api.ContainerKill(t.Context(), c.ID, "KILL"))
					}
				}
				assert.Check(t, is.Equal(p.status(t), 125), "%s", &p.stderr)
				assert.Check(t, is.Contains(p.stderr.String(), "-client-1 exited with code 137 before it had done its work"))
				checkNothingLeft(t, b.Engine)
			}
		})
	}
}

// An interrupt ends a client that waits, whatever it waits for, and leaves
// nothing behind.
func TestInterruptClient(t *testing.T) {
	t.Parallel()
	for _, kind := range relayKinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, kind)
			builtin, three := b.waiting()
			users, one := b.waiting(b.image)
			for name, test := range map[string]struct {
				args    []string
				running int
			}{
				"built-in": {builtin, three},
				"user's":   {users, one},
				"relay":    {append(inside("--relay", "--keep"), users[1:]...), one},
			} {
				t.Run(name, func(t *testing.T) {
					p, terminal := startOnTerminal(t, b.nestprobe(t, test.args...))
					b.allRunning(t, p, test.running)
					began := time.Now()
					_, err := terminal.WriteString("\x03")
					assert.NilError(t, err)
					assert.Check(t, is.Equal(p.status(t), statusInterrupted), "%s", &p.stdout)
					t.Logf("ended %s after the interrupt", time.Since(began).Round(time.Millisecond))
					assert.Check(t, is.Equal(strings.Count(p.stdout.String(), "interrupted"), 1), "%s", &p.stdout)
					checkNothingLeft(t, b.Engine)
				})
			}
		})
	}
}

// The container that is asked from stays as it is when the asking is interrupted
// or killed, and its helper goes.
func TestFromEndsEarly(t *testing.T) {
	t.Parallel()
	for _, kind := range relayKinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, kind)
			b.makeContainer(t, "users", "none", nil, true)
			before := b.state(t, "users")
			for name, end := range map[string]func(*testing.T, *process) bool{
				"interrupted": func(t *testing.T, p *process) bool {
					t.Helper()
					p.signal(t, syscall.SIGINT)
					return assert.Check(t, is.Equal(p.status(t), statusInterrupted), "%s", &p.stderr)
				},
				"killed": func(t *testing.T, p *process) bool {
					t.Helper()
					assert.NilError(t, p.plugin(t).Kill())
					return assert.Check(t, p.status(t) != 0)
				},
			} {
				t.Run(name, func(t *testing.T) {
					p := start(t, b.nestprobe(t, inside("--from", "users", "--wait", "10m")...))
					b.allRunning(t, p, 2) // server and helper
					end(t, p)
					b.gone(t)
					assert.Check(t, is.Equal(b.state(t, "users"), before))
				})
			}
		})
	}
}

// state is all that an engine says of a container and of what it has changed.
func (b *bench) state(t *testing.T, name string) string {
	t.Helper()
	_, inspected, err := b.api.ContainerInspectWithRaw(t.Context(), name, true)
	assert.NilError(t, err)
	changes, err := b.api.ContainerDiff(t.Context(), name)
	assert.NilError(t, err)
	return fmt.Sprintf("%s %v", inspected, changes)
}

// The key of the user's endpoint is nowhere on the engine while a client has it.
func TestKeysStayInMemory(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Toolbox)
	key, err := os.ReadFile(filepath.Join(b.CertDir, "key.pem"))
	assert.NilError(t, err)
	r := keepRelay(t, b, 2, "--access", "endpoint")
	assert.Check(t, is.DeepEqual(b.find(t, traces(t, key)), []string(nil)))

	// The search finds what is there.
	planted := b.plant(t, key)
	found := b.find(t, traces(t, key))
	for _, place := range planted {
		assert.Check(t, is.Contains(found, place))
	}
	r.removeAsTold(t, r.said)
	r.gone(t) // a stopped container that removes itself may be listed for a moment
	checkNothingLeft(t, b.Engine)
}

// traces are what a key looks like: a line of its PEM and its bytes, as they are
// and in the encodings in which either is written into JSON, several parts of it
// since lines may break anywhere.
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

// find returns the places on an engine in which a trace is.
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
			search("logs "+name, logs, nil) // of a driver that keeps any
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

// findOnDisk looks at all that the engine's daemon has written, volumes and the
// files of its runtime included, and at what its containers' processes were
// started with.
func (b *bench) findOnDisk(t *testing.T, traces [][]byte) []string {
	t.Helper()
	var found []string
	search := func(path string) {
		data, err := os.ReadFile(path)
		if os.IsNotExist(err) { // an engine at work
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
		case path == b.CertDir: // the user's own, who is on this machine
			return fs.SkipDir
		case entry.Type().IsRegular():
			files++
			search(path)
		}
		return nil
	})
	assert.NilError(t, err)
	assert.Assert(t, files > 50, "the engine keeps its files elsewhere: %d are in %s", files, b.LogDir)
	for _, c := range b.containers(t) {
		inspected, err := b.api.ContainerInspect(t.Context(), c.ID)
		assert.NilError(t, err)
		for _, name := range []string{"environ", "cmdline"} {
			search(fmt.Sprintf("/proc/%d/%s", inspected.State.Pid, name))
		}
	}
	return found
}

// plant puts a key where it must not be, in every way, and returns the places.
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
