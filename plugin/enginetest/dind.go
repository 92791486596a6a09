package enginetest

import (
	"context"
	"path/filepath"
	"runtime"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/internal/keep"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/internal/rootfs"
)

// DindImage puts an image on the engine, unless it is there, that can be used
// like docker:dind, and returns its reference. It holds the machine's own
// engine and, as entry point, the program [dind], whose documentation lists its
// arguments and variables. The image is tagged locally and carries [Label].
//
// On Docker 20.10 a privileged container does not start where the machine is
// itself a sandbox without CAP_SYS_RESOURCE.
//
// [dind]: https://pkg.go.dev/github.com/nestprobe/docker-nestprobe/plugin/enginetest/dind
func DindImage(tb testing.TB, e *Engine) string {
	tb.Helper()
	return loadArchive(tb, e, imageFor(tb, Dind))
}

// dindArchive makes the image once per run, in the keeper's folder.
func dindArchive(ctx context.Context) (keep.Image, error) {
	root, err := dindRoot(ctx)
	if err != nil {
		return keep.Image{}, err
	}
	return imageOf(root, "nestprobe-dind", dindConfig())
}

// dindPrograms are dockerd and what it starts. Compressed layers and `docker top`
// would need more.
var dindPrograms = []string{
	"dockerd", "docker-proxy", "docker-init",
	"containerd", "containerd-shim-runc-v2", "runc",
	"iptables", "ip6tables",
}

func dindRoot(ctx context.Context) (*rootfs.FS, error) {
	root := rootfs.New("tmp", "proc", "sys", "dev", "root", "run", "var/lib/docker", "etc/docker")
	root.AddMachineLinks()
	root.AddLink("var/run", "/run")
	root.AddText("etc/passwd", "root:x:0:0:root:/root:/\n")
	root.AddText("etc/group", "root:x:0:\ndocker:x:999:\n")
	root.AddText("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
	root.AddFile("etc/os-release", "/etc/os-release") // dockerd reports it
	for _, name := range dindPrograms {
		path, err := keep.LookPath(name)
		if err != nil {
			return nil, err
		}
		if err = root.AddProgram(path); err != nil {
			return nil, err
		}
	}
	// Plugins of iptables, one for each match and target.
	extensions, err := filepath.Glob("/usr/lib/*/xtables/*.so")
	if err != nil {
		return nil, err
	}
	for _, path := range extensions {
		if err = root.AddProgram(path); err != nil {
			return nil, err
		}
	}
	entry, err := dindEntry.build(ctx, runtime.GOARCH)
	if err != nil {
		return nil, err
	}
	root.AddFile("usr/local/bin/dind", entry)
	return root, nil
}

// dindConfig is the part of docker:dind's configuration that its users rely on.
func dindConfig() ocispec.ImageConfig {
	return ocispec.ImageConfig{
		Entrypoint: []string{"/usr/local/bin/dind"},
		Env: []string{
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			"DOCKER_TLS_CERTDIR=/certs",
		},
		ExposedPorts: map[string]struct{}{"2375/tcp": {}, "2376/tcp": {}},
		Volumes:      map[string]struct{}{"/var/lib/docker": {}},
		Labels:       map[string]string{Label: "dind"},
	}
}
