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
	"runtime"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// mountsAt lists what is mounted at a path of this process; nothing on systems other
// than Linux, where this process is not in a Linux container.
func mountsAt(path string) []*mountinfo.Info {
	if runtime.GOOS != "linux" {
		return nil
	}
	found, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) { return m.Mountpoint != path, false })
	if err != nil {
		return nil // no /proc
	}
	return found
}

// InContainer says whether this process runs in a container. Docker, Podman and
// containerd mount their own hostname file; the mark /.dockerenv says less,
// as it stays behind in a machine whose disk was made from an image.
func InContainer() bool {
	return len(mountsAt("/etc/hostname")) > 0
}

// DescribeMount says what is mounted at a path, which shows where on the engine's
// host it is from. It returns no line if nothing is mounted there.
func DescribeMount(path string) []string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	found := mountsAt(path)
	if len(found) == 0 {
		return nil
	}
	last := found[len(found)-1] // which hides the others
	return []string{fmt.Sprintf("mounted there: %s of %s %s", last.Root, last.FSType, last.Source)}
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
