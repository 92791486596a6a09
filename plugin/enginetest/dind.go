package enginetest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
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
	archive := imageFor(tb, Dind)
	open := func() (io.ReadCloser, error) { return os.Open(archive.Path) }
	if err := loadUnlessThere(tb.Context(), e.Client(tb), archive.Tag, open); err != nil {
		tb.Fatalf("loading the image of a nested engine into the %s engine: %v", e.Kind, err)
	}
	return archive.Tag
}

// dindArchive makes the image once per run, in the keeper's folder.
func dindArchive(ctx context.Context) (keep.Image, error) {
	root, err := dindRoot(ctx)
	if err != nil {
		return keep.Image{}, err
	}
	stamp, err := root.Stamp()
	if err != nil {
		return keep.Image{}, err
	}
	sum := sha256.Sum256([]byte(stamp))
	short := hex.EncodeToString(sum[:6])
	archive := keep.Image{Path: filepath.Join(keep.Dir(), "dind-"+short+".tar"), Tag: "nestprobe-dind:" + short}
	if _, err = os.Stat(archive.Path); err == nil {
		return archive, nil
	}
	work, err := os.MkdirTemp(keep.Dir(), "build-")
	if err != nil {
		return keep.Image{}, err
	}
	defer os.RemoveAll(work) //nolint:errcheck // the keeper removes it at the end
	built := filepath.Join(work, "image.tar")
	if err := writeImage(built, root, archive.Tag); err != nil {
		return keep.Image{}, err
	}
	// Two test binaries may make it at the same time; either result will do.
	return archive, os.Rename(built, archive.Path)
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
func dindConfig(layer digest.Digest) ([]byte, error) {
	return json.Marshal(ocispec.Image{
		Created:  new(time.Time),
		Platform: ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH},
		Config: ocispec.ImageConfig{
			Entrypoint: []string{"/usr/local/bin/dind"},
			Env: []string{
				"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
				"DOCKER_TLS_CERTDIR=/certs",
			},
			ExposedPorts: map[string]struct{}{"2375/tcp": {}, "2376/tcp": {}},
			Volumes:      map[string]struct{}{"/var/lib/docker": {}},
			Labels:       map[string]string{Label: "dind"},
		},
		RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{layer}},
	})
}

// writeImage writes a docker-archive with one layer, which goes through a file
// because it is large.
func writeImage(path string, root *rootfs.FS, tag string) error {
	layer := path + ".layer"
	sum := sha256.New()
	if err := writeTar(layer, root, sum); err != nil {
		return err
	}
	config, err := dindConfig(digest.NewDigest(digest.SHA256, sum))
	if err != nil {
		return err
	}
	manifest, err := json.Marshal([]map[string]any{{
		"Config": "config.json", "RepoTags": []string{tag}, "Layers": []string{"layer.tar"},
	}})
	if err != nil {
		return err
	}
	image := rootfs.New()
	image.AddText("manifest.json", string(manifest))
	image.AddText("config.json", string(config))
	image.AddFile("layer.tar", layer)
	return writeTar(path, image, io.Discard)
}

// writeTar writes a file system into a file and to one more writer.
func writeTar(path string, root *rootfs.FS, also io.Writer) error {
	file, err := os.Create(path) //nolint:gosec // in the keeper's folder
	if err != nil {
		return err
	}
	return errors.Join(root.WriteTar(io.MultiWriter(file, also)), file.Close())
}
