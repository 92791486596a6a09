package connection

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/docker/docker/client"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/errno"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/process"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// socketMount gives a container the API of most engines: the path on the engine's
// host is that of every rootful Docker, Docker Desktop included.
const socketMount = "docker run -v /var/run/docker.sock:%s ..."

const defaultSocket = "/var/run/docker.sock"

// socketFault explains why a unix socket or a named pipe could not be opened.
func socketFault(err error) *report.Fault {
	path, pipe := socketOf(err)
	switch {
	case path == "":
		return nil
	case pipe:
		return pipeFault(err, path)
	case errno.Forbidden(err):
		return socketForbidden(err, path)
	case errors.Is(err, fs.ErrNotExist):
		return socketMissing(err, path)
	}
	info, statErr := os.Stat(path)
	if statErr != nil {
		return socketMissing(err, path) // its folder is a file, or it was just removed
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return notASocket(err, path, info)
	}
	if netprobe.ConnectFailure(err) == netprobe.Refused {
		return &report.Fault{
			Cause:    EngineUnreachable,
			Evidence: []string{process.DescribeFile(path), "refused, so no process listens at this socket"},
			Hint:     "start the engine",
			Commands: startCommands(path),
			Err:      sentence.Of(err, "the engine is not running, nothing listens at its socket %s", path),
		}
	}
	note := ""
	if errno.Busy(err) {
		note = ", its accept queue is full"
	}
	why := sentence.Of(err, "the engine does not accept connections at %s%s", path, note)
	return unreachable(why, "wait for it or restart it", process.DescribeFile(path))
}

// socketOf returns the path of the unix socket or pipe that err is about.
func socketOf(err error) (path string, pipe bool) {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" && op.Net == "unix" && op.Addr != nil {
		return op.Addr.String(), false
	}
	var file *fs.PathError // as go-winio reports a pipe
	if errors.As(err, &file) && file.Op == "open" && strings.Contains(filepath.ToSlash(file.Path), "/pipe/") {
		return file.Path, true
	}
	return "", false
}

func pipeFault(err error, path string) *report.Fault {
	if errno.Forbidden(err) {
		return &report.Fault{
			Cause:    DockerSocketPerm,
			Evidence: []string{"pipe: " + path, process.Identity()},
			Hint:     "with Hyper-V or Windows containers, add your user to the group docker-users and log in again",
			Err:      sentence.Of(err, "this user may not open the Docker pipe %s", path),
		}
	}
	return &report.Fault{
		Cause:    EngineUnreachable,
		Evidence: []string{"pipe: " + path, "open: " + err.Error()},
		Hint:     "start Docker Desktop or the Docker service",
		Commands: []string{"docker desktop start"},
		Err:      sentence.Of(err, "there is no engine at the pipe %s", path),
	}
}

func socketMissing(err error, path string) *report.Fault {
	fault := &report.Fault{
		Cause:    DockerSocketMissing,
		Evidence: []string{"no file: " + path},
		Err:      sentence.Of(err, "there is no Docker socket at %s", path),
	}
	fault.Evidence = append(fault.Evidence, missingFolder(path)...)
	if process.InContainer() {
		fault.Evidence = append(fault.Evidence, "this process runs in a container", hostEvidence())
		fault.Hint = "start this container with the engine's socket mounted, which gives it full control of the engine's host"
		fault.Commands = []string{shell.Line(socketMount, path)}
		return fault
	}
	fault.Hint = "start the engine, or choose another endpoint with --context or -H"
	fault.Commands = startCommands(path)
	for _, other := range otherSockets(path) {
		fault.Evidence = append(fault.Evidence, "another socket is here: "+other)
		fault.Commands = append(fault.Commands, shell.Line("docker -H unix://%s version", other))
	}
	return fault
}

// hostEvidence says whether the environment selects an endpoint.
func hostEvidence() string {
	if host := os.Getenv(client.EnvOverrideHost); host != "" {
		return client.EnvOverrideHost + "=" + redacted(host)
	}
	return client.EnvOverrideHost + " is not set in its environment"
}

// missingFolder names the first folder of a path that does not exist.
func missingFolder(path string) []string {
	var missing []string
	for dir := filepath.Dir(path); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); err == nil {
			break
		}
		missing = []string{"no folder: " + dir}
	}
	return missing
}

// notASocket is for a file or, more often, for the empty folder that `docker run -v`
// makes if the source of the mount is not on the engine's host.
func notASocket(err error, path string, info fs.FileInfo) *report.Fault {
	what := "file"
	if info.IsDir() {
		what = "folder"
	}
	fault := &report.Fault{
		Cause:    SocketPathNotOnEngine,
		Evidence: append([]string{process.DescribeFile(path)}, process.DescribeMount(path)...),
		Hint:     "remove it and start the engine",
		Err:      sentence.Of(err, "%s is a %s, not the Docker socket", path, what),
	}
	if process.InContainer() {
		fault.Evidence = append(fault.Evidence, "this process runs in a container")
		fault.Hint = "mount the path that the socket has on the engine's host, and remove the folder that an earlier -v may have made there"
		fault.Commands = []string{shell.Line(socketMount, path)}
	}
	return fault
}

func socketForbidden(err error, path string) *report.Fault {
	fault := &report.Fault{
		Cause:    DockerSocketPerm,
		Evidence: []string{process.DescribeFile(path), process.Identity()},
		Hint:     "run this as a user who may open it, or get access from its owner",
		Err:      sentence.Of(err, "this user may not open the Docker socket %s", path),
	}
	if blocked := forbiddenFolder(path); blocked != "" {
		fault.Evidence = []string{process.DescribeFile(blocked), process.Identity()}
		fault.Err = sentence.Of(err, "this user may not open the Docker socket %s, it has no access to the folder %s", path, blocked)
		return fault
	}
	if fix := process.FixAccess(path); fix.Hint != "" {
		fault.Hint, fault.Commands = fix.Hint, fix.Commands
		fault.Evidence = append(fault.Evidence, fix.Evidence...)
	}
	return fault
}

// Socket opens the socket of an endpoint of the kind [Unix] and closes it again. It
// returns a line about the file and a line about the user and groups of this
// process. Errors are of type [*report.Fault].
func (s Settings) Socket(ctx context.Context) ([]string, error) {
	path := strings.TrimPrefix(s.use().host, string(Unix)+"://")
	conn, err := (&net.Dialer{}).DialContext(ctx, string(Unix), path)
	if err == nil {
		return []string{process.DescribeFile(path), process.Identity()}, conn.Close()
	}
	fault := socketFault(err)
	if fault == nil {
		return nil, s.reviewed(ctx, s.Unusable(err))
	}
	return nil, s.reviewed(ctx, s.withEndpoint(fault, netprobe.PhaseConnect))
}

// SocketOnEngine is the path of the engine's socket on the engine's host: that of a
// unix endpoint, else the default path of engines. The engine of Docker Desktop has
// the default path, whatever the path on this machine is.
func (s Settings) SocketOnEngine(desktop bool) string {
	if s.Transport != Unix || desktop {
		return defaultSocket
	}
	return strings.TrimPrefix(s.use().host, string(Unix)+"://")
}

// forbiddenFolder is the first folder above path that this user may not pass through,
// or "".
func forbiddenFolder(path string) string {
	blocked := ""
	for child := filepath.Clean(path); child != filepath.Dir(child); child = filepath.Dir(child) {
		if _, err := os.Lstat(child); errors.Is(err, fs.ErrPermission) {
			blocked = filepath.Dir(child)
		}
	}
	return blocked
}

// knownSockets are the places where engines put their socket for a user, and
// what starts each.
func knownSockets() []struct{ path, start string } {
	home, _ := os.UserHomeDir() // without one, its sockets are not recognised
	ofUser := os.Getenv("XDG_RUNTIME_DIR")
	return []struct{ path, start string }{
		{defaultSocket, startDefault(runtime.GOOS, isDir(systemdFolder))},
		{filepath.Join(ofUser, "docker.sock"), "systemctl --user start docker"},
		{filepath.Join(home, ".docker/run/docker.sock"), "docker desktop start"},
		{filepath.Join(home, ".docker/desktop/docker.sock"), "docker desktop start"},
		{filepath.Join(home, ".colima/default/docker.sock"), "colima start"},
		{filepath.Join(home, ".orbstack/run/docker.sock"), "orb start"},
		{filepath.Join(home, ".rd/docker.sock"), "rdctl start"},
		{"/run/podman/podman.sock", "sudo systemctl start podman.socket"},
		{filepath.Join(ofUser, "podman/podman.sock"), "systemctl --user start podman.socket"},
		{filepath.Join(home, ".local/share/containers/podman/machine/podman.sock"), "podman machine start"},
		{filepath.Join(os.TempDir(), "podman/podman-machine-default-api.sock"), "podman machine start"},
	}
}

// startDefault is what starts the engine of the default socket. On macOS that is a link
// of whatever engine was installed last, so nothing is. WSL can be without systemd.
func startDefault(goos string, systemd bool) string {
	switch {
	case goos != "linux":
		return ""
	case systemd:
		return "sudo systemctl start docker"
	default:
		return "sudo service docker start"
	}
}

// systemdFolder exists if systemd runs (sd_booted(3)).
const systemdFolder = "/run/systemd/system"

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// startCommands are the commands that start the engine of a well-known socket, or of the
// socket to which a link leads: macOS has one at the default path.
func startCommands(path string) []string {
	if target, err := os.Readlink(path); err == nil {
		path = target
	}
	for _, known := range knownSockets() {
		if known.start != "" && (known.path == path || "/run/"+strings.TrimPrefix(known.path, "/var/run/") == path) {
			return []string{known.start}
		}
	}
	return nil
}

// otherSockets are the well-known sockets that exist, but for path.
func otherSockets(path string) []string {
	var found []string
	for _, known := range knownSockets() {
		info, err := os.Stat(known.path)
		if err == nil && info.Mode()&fs.ModeSocket != 0 && known.path != path {
			found = append(found, known.path)
		}
	}
	return found
}
