//go:build linux

package self

import (
	"strings"
	"testing"

	"github.com/moby/sys/mountinfo"
	"gotest.tools/v3/assert"
)

// IDs of containers.
var (
	one   = strings.Repeat("1a", 32)
	two   = strings.Repeat("2b", 32)
	three = strings.Repeat("3c", 32)
)

// What the files say in containers and on machines, shortened to the lines that may matter.
// ID1 and ID2 stand for IDs. TestSelf, of package plugin, has containers of real engines.
var recorded = map[string]struct {
	mounts       string
	cgroup       string
	containerEnv string
	marked       bool

	own, network []string
	isMarked     bool
	upper        string
}{
	"Docker 20.10, cgroup v1": {
		mounts: `104 56 0:48 / / rw,nodev,noatime master:3 - fuse.fuse-overlayfs fuse-overlayfs rw,user_id=0,group_id=0,default_permissions,allow_other
110 109 0:29 /docker/ID1 /sys/fs/cgroup/cpu ro,nosuid,nodev,noexec,relatime - cgroup cgroup rw,cpu
120 106 0:55 / /dev/shm rw,nosuid,nodev,noexec,relatime - tmpfs shm rw,size=65536k
121 104 254:0 /var/lib/docker/containers/ID1/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/vda rw,discard
122 104 254:0 /var/lib/docker/containers/ID1/hostname /etc/hostname rw,relatime - ext4 /dev/vda rw,discard
123 104 254:0 /var/lib/docker/containers/ID1/hosts /etc/hosts rw,relatime - ext4 /dev/vda rw,discard`,
		cgroup: `9:name=systemd:/docker/ID1
8:pids:/docker/ID1
0::/docker/ID1`,
		marked: true,
		own:    []string{one}, network: []string{one}, isMarked: true,
	},
	"Docker 20.10, cgroup v1, --network container:": {
		mounts: `104 56 0:48 / / rw,nodev,noatime master:3 - fuse.fuse-overlayfs fuse-overlayfs rw,user_id=0,group_id=0,default_permissions,allow_other
155 138 254:0 /var/lib/docker/containers/ID2/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/vda rw,discard
156 138 254:0 /var/lib/docker/containers/ID2/hostname /etc/hostname rw,relatime - ext4 /dev/vda rw,discard
157 138 254:0 /var/lib/docker/containers/ID2/hosts /etc/hosts rw,relatime - ext4 /dev/vda rw,discard`,
		cgroup: `9:name=systemd:/docker/ID1
0::/docker/ID1`,
		marked: true,
		own:    []string{one}, network: []string{two}, isMarked: true,
	},
	"Docker 28, cgroup v2 with a namespace": {
		mounts: `713 610 0:59 / / rw,relatime master:260 - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/A:/var/lib/docker/overlay2/l/B,upperdir=/var/lib/docker/overlay2/ab/diff,workdir=/var/lib/docker/overlay2/ab/work,nouserxattr
719 717 0:27 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate,memory_recursiveprot
722 713 8:1 /var/lib/docker/containers/ID1/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/sda1 rw,discard
723 713 8:1 /var/lib/docker/containers/ID1/hostname /etc/hostname rw,relatime - ext4 /dev/sda1 rw,discard
724 713 8:1 /var/lib/docker/containers/ID1/hosts /etc/hosts rw,relatime - ext4 /dev/sda1 rw,discard
725 713 0:25 /docker.sock /run/docker.sock rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,size=401668k,mode=755`,
		cgroup:  "0::/",
		marked:  true,
		network: []string{one}, isMarked: true, upper: "/var/lib/docker/overlay2/ab/diff",
	},
	"Docker, cgroup v2 of the host, by systemd": {
		mounts: `713 610 0:59 / / rw,relatime - overlay overlay rw,upperdir=/var/lib/docker/overlay2/ab/diff
722 713 8:1 /var/lib/docker/containers/ID1/hosts /etc/hosts rw,relatime - ext4 /dev/sda1 rw`,
		cgroup: "0::/system.slice/docker-ID1.scope",
		marked: true,
		own:    []string{one}, network: []string{one}, isMarked: true, upper: "/var/lib/docker/overlay2/ab/diff",
	},
	"Docker Desktop, whose storage is a mount of its own": {
		mounts: `713 610 0:59 / / rw,relatime - overlay overlay rw,upperdir=/var/lib/docker/overlay2/ab/diff
722 713 254:1 /docker/containers/ID1/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/vda1 rw,discard`,
		cgroup:  "0::/",
		marked:  true,
		network: []string{one}, isMarked: true, upper: "/var/lib/docker/overlay2/ab/diff",
	},
	"a container of a nested engine that has cgroup v1 of the outer one": {
		mounts: `713 610 0:59 / / rw,relatime - overlay overlay rw,upperdir=/var/lib/docker/overlay2/ab/diff
722 713 8:1 /var/lib/docker/containers/ID1/hosts /etc/hosts rw,relatime - ext4 /dev/sda1 rw`,
		cgroup: "4:memory:/docker/ID2/docker/ID1\n1:name=systemd:/docker/ID2/docker/ID1",
		marked: true,
		own:    []string{one}, network: []string{one}, isMarked: true, upper: "/var/lib/docker/overlay2/ab/diff",
	},
	"Podman, not privileged": {
		mounts: `301 240 0:61 / / rw,relatime - overlay overlay rw,lowerdir=/var/lib/containers/storage/overlay/l/A,upperdir=/var/lib/containers/storage/overlay/cd/diff,workdir=/var/lib/containers/storage/overlay/cd/work
310 301 0:25 /containers/storage/overlay-containers/ID1/userdata/resolv.conf /etc/resolv.conf rw,nosuid,nodev,relatime - tmpfs tmpfs rw,size=1616236k
311 301 0:25 /containers/storage/overlay-containers/ID1/userdata/hosts /etc/hosts rw,nosuid,nodev,relatime - tmpfs tmpfs rw,size=1616236k
312 301 0:25 /containers/storage/overlay-containers/ID1/userdata/.containerenv /run/.containerenv rw,nosuid,nodev,relatime - tmpfs tmpfs rw,size=1616236k
313 301 0:25 /containers/storage/overlay-containers/ID1/userdata/hostname /etc/hostname rw,nosuid,nodev,relatime - tmpfs tmpfs rw,size=1616236k`,
		cgroup: "0::/",
		marked: true,
		own:    []string{one}, network: []string{one}, isMarked: true, upper: "/var/lib/containers/storage/overlay/cd/diff",
	},
	"Podman, privileged, in a pod": {
		mounts: `301 240 0:61 / / rw,relatime - overlay overlay rw,upperdir=/var/lib/containers/storage/overlay/cd/diff
310 301 0:25 /containers/storage/overlay-containers/ID2/userdata/resolv.conf /etc/resolv.conf rw,nosuid,nodev,relatime - tmpfs tmpfs rw
311 301 0:25 /containers/storage/overlay-containers/ID2/userdata/hosts /etc/hosts rw,nosuid,nodev,relatime - tmpfs tmpfs rw`,
		cgroup: "0::/",
		containerEnv: `engine="podman-4.3.1"
name="six"
id="ID1"
image="localhost/six:latest"
rootless=1
`,
		marked: true,
		own:    []string{one}, network: []string{two}, isMarked: true, upper: "/var/lib/containers/storage/overlay/cd/diff",
	},
	"Podman, cgroup v1": {
		mounts: `301 240 0:61 / / rw,relatime - overlay overlay rw`,
		cgroup: "9:memory:/machine.slice/libpod-ID1.scope/container\n1:name=systemd:/machine.slice/libpod-ID1.scope/container",
		own:    []string{one},
	},
	"Kubernetes with containerd, cgroup v1": {
		mounts: `1200 1100 0:300 / / rw,relatime - overlay overlay rw,upperdir=/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/9/fs
1210 1200 8:1 /var/lib/kubelet/pods/5f0c0b6e-73a6-4a0e-9d8b-0a3b3d9a6e11/etc-hosts /etc/hosts rw,relatime - ext4 /dev/sda1 rw
1211 1200 8:1 /var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/ID2/hostname /etc/hostname rw,relatime - ext4 /dev/sda1 rw
1212 1200 8:1 /var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/ID2/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/sda1 rw`,
		cgroup: "4:memory:/kubepods/besteffort/pod5f0c0b6e-73a6-4a0e-9d8b-0a3b3d9a6e11/ID1",
		own:    []string{one}, network: []string{two}, upper: "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/9/fs",
	},
	"Kubernetes with containerd, cgroup v2": {
		mounts: `1200 1100 0:300 / / rw,relatime - overlay overlay rw
1211 1200 8:1 /var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/ID2/hostname /etc/hostname rw,relatime - ext4 /dev/sda1 rw`,
		cgroup:  "0::/",
		network: []string{two},
	},
	"Kubernetes, cgroup v2 of the host, by systemd": {
		mounts: `1200 1100 0:300 / / rw,relatime - overlay overlay rw`,
		cgroup: "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod5f0c.slice/cri-containerd-ID1.scope",
		own:    []string{one},
	},
	"a machine that runs containers": {
		mounts: `27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
43 42 0:39 / /var/lib/docker/overlay2/ab/merged rw,relatime shared:2 - overlay overlay rw,upperdir=/var/lib/docker/overlay2/ab/diff
44 42 0:40 / /var/lib/docker/containers/ID1/mounts/shm rw,nosuid,nodev,noexec,relatime shared:9 - tmpfs shm rw,size=65536k
45 42 0:41 / /var/lib/containers/storage/overlay-containers/ID2/userdata/shm rw,relatime shared:10 - tmpfs shm rw,size=64000k`,
		cgroup: "0::/user.slice/user-1000.slice/session-3.scope",
	},
	"a machine made from an image, which has left its mark": {
		mounts: `27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard`,
		cgroup: "4:memory:/process_api/bbca3c913f3591ab20c5d89fa56b0b3a\n0::/",
		marked: true,
	},
	"an LXC container, which is a machine": {
		mounts: `530 480 0:52 /var/lib/lxc/box/rootfs / rw,relatime - ext4 /dev/sda1 rw
540 530 0:60 / /etc/resolv.conf rw,relatime - tmpfs tmpfs rw`,
		cgroup: "0::/init.scope",
	},
	"WSL": {
		mounts: `77 68 8:32 / / rw,relatime - ext4 /dev/sdc rw,discard
90 77 0:43 /resolv.conf /etc/resolv.conf rw,relatime - tmpfs none rw
95 77 0:45 / /mnt/wsl/docker-desktop-bind-mounts/Ubuntu/ID1 rw - ext4 /dev/sdc rw`,
		cgroup: "0::/",
	},
	"no files": {},
}

func TestSigns(t *testing.T) {
	ids := strings.NewReplacer("ID1", one, "ID2", two)
	for name, test := range recorded {
		t.Run(name, func(t *testing.T) {
			mounts, err := mountinfo.GetMountsFromReader(strings.NewReader(ids.Replace(test.mounts)), nil)
			assert.NilError(t, err)
			got := files{mounts, ids.Replace(test.cgroup), ids.Replace(test.containerEnv), test.marked}.signs()
			assert.DeepEqual(t, got.own, test.own)
			assert.DeepEqual(t, got.network, test.network)
			assert.Equal(t, got.marked, test.isMarked)
			assert.Equal(t, got.upper, test.upper)
			assert.Equal(t, got.any(), len(test.own)+len(test.network) > 0 || test.isMarked)
		})
	}
}
