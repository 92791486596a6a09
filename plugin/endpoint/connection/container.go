package connection

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// socketMount is what gives a container the API of most engines: the path on
// the engine's side is that of every rootful Docker, Docker Desktop's included
// (FIELD-NOTES, section 1).
const socketMount = "docker run -v /var/run/docker.sock:%s …"

const defaultSocket = "/var/run/docker.sock"

// mount is a line of /proc/self/mountinfo, proc_pid_mountinfo(5).
type mount struct {
	root   string // the part of the file system that is mounted
	point  string
	source string // type and device of the file system
}

// mounts lists this process's mounts; none where there is no /proc.
func mounts() []mount {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil // not Linux, so not in a Linux container
	}
	var found []mount
	for line := range strings.Lines(string(data)) {
		const root, point = 3, 4
		before, after, _ := strings.Cut(line, " - ")
		fields, source := strings.Fields(before), strings.Fields(after)
		if len(fields) > point && len(source) > 1 {
			found = append(found, mount{unescape(fields[root]), unescape(fields[point]), source[0] + " " + unescape(source[1])})
		}
	}
	return found
}

// unescape undoes the octal escapes that the kernel writes for blanks and
// backslashes.
func unescape(field string) string {
	var plain strings.Builder
	for {
		before, after, found := strings.Cut(field, `\`)
		plain.WriteString(before)
		if !found {
			return plain.String()
		}
		const digits = 3
		if len(after) < digits {
			return plain.String()
		}
		if code, err := strconv.ParseUint(after[:digits], 8, 8); err == nil {
			plain.WriteByte(byte(code))
		}
		field = after[digits:]
	}
}

// inContainer says whether this process runs in a container. Docker, Podman and
// containerd mount a hostname file of their own; the mark /.dockerenv says less,
// as it stays behind in a machine whose disk was made from an image.
func inContainer() bool {
	for _, m := range mounts() {
		if m.point == "/etc/hostname" {
			return true
		}
	}
	return false
}

// mountEvidence says what is mounted at a path, which tells where on the
// engine's host it came from.
func mountEvidence(path string) []string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	var found []string
	for _, m := range mounts() {
		if m.point == path {
			found = []string{fmt.Sprintf("mounted there: %s of %s", m.root, m.source)}
		}
	}
	return found
}

// loopbackFault is for an endpoint that leads this container to itself, where
// no engine is: every address that was dialled is one of the container's own.
// It is nil when that does not explain the failure, such as in a container that
// shares the network of an engine's host, whose bridge shows it.
func (c *Connection) loopbackFault(seen *sight, err error) *report.Fault {
	if !c.isOwnLoopback(seen) {
		return nil
	}
	links, bridged := interfaces()
	if bridged {
		return nil
	}
	return &report.Fault{
		Cause:    EndpointIsLoopback,
		Evidence: []string{"this process runs in a container", "its network interfaces: " + links, "no bridge is among them, so it is not an engine's host"},
		Hint:     "mount the engine's socket and leave DOCKER_HOST unset, or give an address of the engine's host that containers reach",
		Commands: []string{fmt.Sprintf(socketMount, defaultSocket)},
		Err:      sentence.Of(err, "%s leads this container to itself, and no engine listens there", c.settings.Host),
	}
}

// isOwnLoopback says whether this process runs in a container and has dialled
// loopback addresses alone.
func (c *Connection) isOwnLoopback(seen *sight) bool {
	if len(seen.dials) == 0 || c.proxy() != nil || !inContainer() {
		return false
	}
	for _, d := range seen.dials {
		address, err := netip.ParseAddrPort(d.address)
		if err != nil || !isLoopback(address.Addr()) {
			return false
		}
	}
	return true
}

// interfaces lists the network interfaces here, and says whether a bridge is
// among them. Containers have none; hosts of engines do.
func interfaces() (list string, bridged bool) {
	links, err := net.Interfaces()
	if err != nil {
		return "", true // unknown, which proves nothing
	}
	names := make([]string, len(links))
	for i, link := range links {
		names[i] = link.Name
		if _, err := os.Stat(filepath.Join("/sys/class/net", link.Name, "bridge")); err == nil {
			bridged = true
		}
	}
	return strings.Join(names, " "), bridged
}
