package connection

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/endpointtest"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// listen makes a unix socket and accepts nothing.
func listen(t *testing.T, path string) *net.UnixListener {
	t.Helper()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	assert.NilError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// ownSocket makes a socket of root with this mode and group.
func ownSocket(t *testing.T, path string, mode os.FileMode, group int) {
	t.Helper()
	listen(t, path)
	assert.NilError(t, os.Chown(path, 0, group))
	assert.NilError(t, os.Chmod(path, mode))
}

func TestSocketFaults(t *testing.T) {
	t.Parallel()
	enginetest.NeedRoot(t)
	dir := endpointtest.OpenFolder(t)
	stale := filepath.Join(dir, "stale.sock")
	listener := listen(t, stale)
	listener.SetUnlinkOnClose(false)
	assert.NilError(t, listener.Close())
	folder, file := filepath.Join(dir, "folder.sock"), filepath.Join(dir, "file.sock")
	assert.NilError(t, os.Mkdir(folder, 0o755))
	endpointtest.Write(t, file, nil)
	closed := filepath.Join(dir, "closed.sock")
	closes := listen(t, closed)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := closes.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = closes.Close(); <-done })

	for name, test := range map[string]struct {
		path     string
		cause    report.Cause
		sentence string
		evidence []string
	}{
		"no file":      {filepath.Join(dir, "none.sock"), DockerSocketMissing, "there is no Docker socket at " + dir + "/none.sock", []string{"no file: "}},
		"no folder":    {filepath.Join(dir, "a/b/c.sock"), DockerSocketMissing, "there is no Docker socket", []string{"no folder: " + dir + "/a\n"}},
		"below a file": {filepath.Join(file, "c.sock"), DockerSocketMissing, "there is no Docker socket", nil},
		"no listener": {stale, EngineUnreachable, "the engine is not running, nothing listens at its socket",
			[]string{"connection refused", "mode Srwxr-xr-x, owner 0 (root), group 0 (root)"}},
		"a folder":            {folder, SocketPathNotOnEngine, "is a folder, not the Docker socket", []string{"mode drwxr-xr-x"}},
		"a file":              {file, SocketPathNotOnEngine, "is a file, not the Docker socket", nil},
		"too long":            {"/" + strings.Repeat("x", 120), EngineUnreachable, "is too long", nil},
		"accepts, closes":     {closed, EngineUnreachable, "closes it without an answer", []string{"phase reached: request"}},
		"queue is full":       {fullSocket(t, dir), EngineUnreachable, "its accept queue is full", nil},
		"control in its name": {filepath.Join(dir, "\x1b[31m"), EngineUnreachable, `\x1b[31m`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			endpointtest.WantFault(t, connectFails(t, unixSettings(test.path)), test.cause, test.sentence, test.evidence...)
		})
	}
}

// fullSocket is a unix socket whose accept queue is full.
func fullSocket(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "full.sock")
	fill(t, syscall.AF_UNIX, &syscall.SockaddrUnix{Name: path})
	return path
}

// fill listens with the shortest accept queue and fills it.
func fill(t *testing.T, family int, address syscall.Sockaddr) syscall.Sockaddr {
	t.Helper()
	open := func() int {
		fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
		assert.NilError(t, err)
		t.Cleanup(func() { assert.NilError(t, syscall.Close(fd)) })
		return fd
	}
	listener := open()
	assert.NilError(t, syscall.Bind(listener, address))
	assert.NilError(t, syscall.Listen(listener, 0))
	bound, err := syscall.Getsockname(listener)
	assert.NilError(t, err)
	for range 8 { // a queue of length 0 holds one or two
		err := syscall.Connect(open(), bound)
		assert.Assert(t, err == nil || errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINPROGRESS), "%v", err)
	}
	return bound
}

// TestSocketPermission connects as another user, since root may open anything.
func TestSocketPermission(t *testing.T) {
	t.Parallel()
	enginetest.NeedRoot(t)
	dir := endpointtest.OpenFolder(t)
	self := copySelf(t, dir)
	const nobody, unnamedGroup = 65534, 54321
	socket := func(name string, mode os.FileMode, group int) string {
		path := filepath.Join(dir, name)
		assert.NilError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		ownSocket(t, path, mode, group)
		return path
	}
	private := socket("private.sock", 0o600, 0)
	grouped := socket("grouped.sock", 0o660, groupID(t, "docker"))
	unnamed := socket("unnamed.sock", 0o660, unnamedGroup)
	hidden := socket("hidden/deep/docker.sock", 0o666, 0)
	assert.NilError(t, os.Chmod(filepath.Join(dir, "hidden"), 0o700))

	for name, test := range map[string]struct {
		path     string
		sentence string
		commands string
		evidence []string
	}{
		"only its owner": {private, "may not open the Docker socket " + private, "",
			[]string{"mode Srw-------, owner 0 (root), group 0 (root)", "process: uid 65534 (nobody), gids 65534 (nogroup), 100"}},
		"a group":              {grouped, "add your user to the group docker, whose members have full control of this machine through the engine, and log in again", "sudo usermod -aG docker nobody", []string{"mode Srw-rw----"}},
		"a group with no name": {unnamed, "get access from its owner", "", []string{"group 54321"}},
		"a closed folder":      {hidden, "it has no access to the folder " + dir + "/hidden", "", []string{"hidden, mode drwx------"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := connectInChild(t, unixSettings(test.path), nil, func(cmd *exec.Cmd) {
				cmd.Path = self
				cmd.Dir = "/"
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody, Groups: []uint32{nobody, 100}}}
			})
			endpointtest.WantFault(t, got.Fault(), DockerSocketPerm, test.sentence, test.evidence...)
			assert.Assert(t, strings.Contains(strings.Join(got.Finding.Commands, "\n"), test.commands), "%q", got.Finding.Commands)
		})
	}
}

func groupID(t *testing.T, name string) int {
	t.Helper()
	info, err := os.Stat(endpointtest.EngineSocket(t))
	assert.NilError(t, err)
	gid := info.Sys().(*syscall.Stat_t).Gid
	group, err := user.LookupGroupId(strconv.Itoa(int(gid)))
	assert.NilError(t, err)
	assert.Equal(t, group.Name, name, "the group of the socket of this machine's engine")
	return int(gid)
}

// copySelf puts the test binary where other users may run it.
func copySelf(t *testing.T, dir string) string {
	t.Helper()
	self, err := os.Executable()
	assert.NilError(t, err)
	from, err := os.Open(self)
	assert.NilError(t, err)
	defer func() { assert.NilError(t, from.Close()) }()
	path := filepath.Join(dir, "self")
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o755)
	assert.NilError(t, err)
	_, err = io.Copy(to, from)
	assert.NilError(t, err)
	assert.NilError(t, to.Close())
	return path
}

// TestStartCommands suggests how to start the engine of a well-known socket.
func TestStartCommands(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	t.Setenv("XDG_RUNTIME_DIR", "/run/user/1000")
	for path, want := range map[string]string{
		"/var/run/docker.sock":                  startDefault("linux", isDir(systemdFolder)),
		"/run/docker.sock":                      startDefault("linux", isDir(systemdFolder)),
		"/run/user/1000/docker.sock":            "systemctl --user start docker",
		"/home/me/.docker/run/docker.sock":      "docker desktop start",
		"/home/me/.docker/desktop/docker.sock":  "docker desktop start",
		"/home/me/.colima/default/docker.sock":  "colima start",
		"/home/me/.orbstack/run/docker.sock":    "orb start",
		"/home/me/.rd/docker.sock":              "rdctl start",
		"/run/podman/podman.sock":               "sudo systemctl start podman.socket",
		"/run/user/1000/podman/podman.sock":     "systemctl --user start podman.socket",
		"/home/somebody/.docker/run/other.sock": "",
	} {
		assert.Equal(t, strings.Join(startCommands(path), ";"), want, path)
	}
}

func TestStartDefault(t *testing.T) {
	t.Parallel()
	assert.Equal(t, startDefault("linux", true), "sudo systemctl start docker")
	assert.Equal(t, startDefault("linux", false), "sudo service docker start") // WSL
	assert.Equal(t, startDefault("darwin", false), "")
}

// On macOS, an engine links its socket to the default path.
func TestStartCommandsOfALink(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	link := filepath.Join(home, "docker.sock")
	assert.NilError(t, os.Symlink(filepath.Join(home, ".orbstack/run/docker.sock"), link))
	assert.DeepEqual(t, startCommands(link), []string{"orb start"})
}

// TestOtherSockets suggests this machine's engine if the endpoint's socket is missing.
func TestOtherSockets(t *testing.T) {
	t.Parallel()
	err := connectFails(t, unixSettings("/nonexistent/docker.sock"))
	endpointtest.WantFault(t, err, DockerSocketMissing, "choose another endpoint", "another socket is here: "+endpointtest.EngineSocket(t))
	assert.Assert(t, strings.Contains(strings.Join(endpointtest.FaultOf(t, err).Commands, "\n"), "docker -H unix://"+endpointtest.EngineSocket(t)+" version"))
}

// TestSocketCancelled cancels while the engine does not answer.
func TestSocketCancelled(t *testing.T) {
	t.Parallel()
	path := filepath.Join(endpointtest.OpenFolder(t), "silent.sock")
	listen(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err := Open(ctx, unixSettings(path))
	assert.ErrorIs(t, err, context.Canceled)
	var fault *report.Fault
	assert.Assert(t, !errors.As(err, &fault), "a cancelled context is no fault of the endpoint: %v", err)
}
