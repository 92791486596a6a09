package self

import (
	"regexp"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// files are what may say that this process is in a container.
type files struct {
	mounts       []*mountinfo.Info // /proc/self/mountinfo
	cgroup       string            // /proc/self/cgroup
	containerEnv string            // /run/.containerenv; Podman writes into that of a privileged container
	marked       bool              // /.dockerenv or /run/.containerenv is there
}

// signs are what the files say.
type signs struct {
	own     []string // IDs that are this process's own container's, the surest first
	network []string // IDs of the container whose network is used: this one's, or the one that shares it
	marked  bool     // a file of an engine is there, in a root as containers have it
	upper   string   // the upper directory of the root, if that is an overlay
	mounted []string // mount points
}

// any says whether anything hints at a container.
func (s signs) any() bool { return s.marked || len(s.own)+len(s.network) > 0 }

// id returns the likeliest ID of this process's container; empty if there is none.
func (s signs) id() string {
	if all := slices.Concat(s.own, s.network); len(all) > 0 {
		return all[0]
	}
	return ""
}

const containerEnv = "/run/.containerenv"

// networkFiles are files that engines write for each container with a network of its own,
// and mount into it and into those that share the network. Docker: /var/lib/docker/
// containers/ID/hosts; Podman: …/overlay-containers/ID/userdata/hosts; containerd for
// Kubernetes: …/sandboxes/ID/hostname.
var networkFiles = []string{"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"}

// overlays are the file systems of which engines make the root of a container. Others are
// those of machines too, on which /.dockerenv may have been left by the image that the
// machine was made from.
var overlays = []string{"overlay", "fuse.fuse-overlayfs"}

func (f files) signs() signs {
	var s signs
	if m := idInFile.FindStringSubmatch(f.containerEnv); m != nil {
		s.own = append(s.own, m[1])
	}
	for _, m := range f.mounts {
		s.mounted = append(s.mounted, m.Mountpoint)
		switch {
		case m.Mountpoint == "/":
			s.marked = f.marked && slices.Contains(overlays, m.FSType)
			s.upper = option(m.VFSOptions, "upperdir")
		case m.Mountpoint == containerEnv:
			s.own = addID(s.own, m.Root)
		case slices.Contains(networkFiles, m.Mountpoint):
			s.network = addID(s.network, m.Root)
		}
	}
	for line := range strings.Lines(f.cgroup) {
		// hierarchy:controllers:path (cgroups(7)); the innermost ID is the process's own.
		if parts := strings.SplitN(strings.TrimSpace(line), ":", 3); len(parts) == 3 {
			s.own = addID(s.own, parts[2])
		}
	}
	return s
}

// idInFile matches the line of the container's ID in /run/.containerenv.
var idInFile = regexp.MustCompile(`(?m)^id="([0-9a-f]{64})"$`)

// idInPath matches an ID in a part of a path: the whole part, or as systemd names scopes,
// such as docker-ID.scope, libpod-ID.scope and cri-containerd-ID.scope.
var idInPath = regexp.MustCompile(`(?:^|[/:-])([0-9a-f]{64})(?:\.scope)?(?:/|$)`)

// addID adds the last ID in a path, once.
func addID(ids []string, path string) []string {
	found := lastID(path)
	if found == "" || slices.Contains(ids, found) {
		return ids
	}
	return append(ids, found)
}

func lastID(path string) string {
	parts := strings.Split(path, "/")
	for _, part := range slices.Backward(parts) {
		if m := idInPath.FindStringSubmatch(part); m != nil {
			return m[1]
		}
	}
	return ""
}

// option returns the value of a mount option.
func option(options, name string) string {
	for o := range strings.SplitSeq(options, ",") {
		if value, ok := strings.CutPrefix(o, name+"="); ok {
			return value
		}
	}
	return ""
}
