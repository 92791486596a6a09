package enginetest

import (
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

// imageOf makes an image of this machine's files once per run, as a docker-archive in
// the keeper's folder. Its tag is a digest of the file system's stamp.
func imageOf(root *rootfs.FS, name string, config ocispec.ImageConfig) (keep.Image, error) {
	stamp, err := root.Stamp()
	if err != nil {
		return keep.Image{}, err
	}
	sum := sha256.Sum256([]byte(stamp))
	short := hex.EncodeToString(sum[:6])
	archive := keep.Image{Path: filepath.Join(keep.Dir(), name+"-"+short+".tar"), Tag: name + ":" + short}
	if _, err = os.Stat(archive.Path); err == nil {
		return archive, nil
	}
	work, err := os.MkdirTemp(keep.Dir(), "build-")
	if err != nil {
		return keep.Image{}, err
	}
	defer os.RemoveAll(work) //nolint:errcheck // the keeper removes it at the end
	built := filepath.Join(work, "image.tar")
	if err := writeImage(built, root, archive.Tag, config); err != nil {
		return keep.Image{}, err
	}
	// Two test binaries may make it at the same time; either result will do.
	return archive, os.Rename(built, archive.Path)
}

// loadArchive puts an image on an engine, unless it is there, and returns its reference.
func loadArchive(tb testing.TB, e *Engine, archive keep.Image) string {
	tb.Helper()
	open := func() (io.ReadCloser, error) { return os.Open(archive.Path) }
	if err := loadUnlessThere(tb.Context(), e.Client(tb), archive.Tag, open); err != nil {
		tb.Fatalf("loading %s into the %s engine: %v", archive.Tag, e.Kind, err)
	}
	return archive.Tag
}

// writeImage writes a docker-archive with one layer, which goes through a file
// because it is large.
func writeImage(path string, root *rootfs.FS, tag string, config ocispec.ImageConfig) error {
	layer := path + ".layer"
	sum := sha256.New()
	if err := writeTar(layer, root, sum); err != nil {
		return err
	}
	described, err := json.Marshal(ocispec.Image{
		Created:  new(time.Time),
		Platform: ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH},
		Config:   config,
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.NewDigest(digest.SHA256, sum)}},
	})
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
	image.AddText("config.json", string(described))
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
