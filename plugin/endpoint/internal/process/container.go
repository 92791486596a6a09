// Package process says what this process is and may do: whether it runs in a
// container, what is mounted there, as which user and groups it runs, and how it
// could get the right to open a socket. The package connection calls it for the
// evidence and the hints of its faults. It must not know of Docker's API.
package process

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

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

// InContainer says whether this process runs in a container. Docker, Podman and
// containerd mount their own hostname file; the mark /.dockerenv says less,
// as it stays behind in a machine whose disk was made from an image.
func InContainer() bool {
	for _, m := range mounts() {
		if m.point == "/etc/hostname" {
			return true
		}
	}
	return false
}

// DescribeMount says what is mounted at a path, which shows where on the engine's
// host it is from. It returns no line if nothing is mounted there.
func DescribeMount(path string) []string {
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

// Interfaces lists the network interfaces here, and says whether a bridge is
// among them. Containers have none; hosts of engines do.
func Interfaces() (list string, bridged bool) {
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
