package agentimage

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Archive is a FROM-scratch image with one static binary in it, in the format that
// `docker save` writes, uncompressed. Docker 20.10, Docker 26.1 with either image store,
// Docker 28.5 and Podman 4.3 load it. Podman refuses a gzipped archive, and Docker 20.10
// an OCI layout.
//
// The same Archive always has the same bytes: they do not depend on a clock or on the
// order of a map.
type Archive struct {
	Tag          string            // reference that the loaded image gets, such as "name:tag"
	Binary       []byte            // contents of the one file
	BinaryName   string            // its name in the root folder, no slashes
	OS           string            // the binary's GOOS
	Arch         string            // the binary's GOARCH
	Entrypoint   []string          // nil: the binary, without arguments
	User         string            // as docker run's --user; empty: root
	Labels       map[string]string // labels of the image
	ExposedPorts []string          // such as "4647/tcp"
}

// binaryMode lets every user run the file and no user change it.
const binaryMode = 0o555

// epoch is the time of every file in an archive, so that the same contents always have
// the same bytes.
var epoch = time.Unix(0, 0).UTC()

// errNoBinary reports what would otherwise fail only when a container starts.
var errNoBinary = errors.New("an image archive needs a binary and its name")

// imageConfig is the image's configuration as in the Docker Image Specification v1.2
// (github.com/moby/docker-image-spec). All engines read it from such an archive.
type imageConfig struct {
	Architecture string          `json:"architecture"`
	Config       containerConfig `json:"config"`
	Created      time.Time       `json:"created"`
	History      []history       `json:"history"`
	OS           string          `json:"os"`
	RootFS       rootFS          `json:"rootfs"`
}

type containerConfig struct {
	Entrypoint   []string            `json:"Entrypoint"`
	ExposedPorts map[string]struct{} `json:"ExposedPorts,omitempty"`
	Labels       map[string]string   `json:"Labels,omitempty"`
	User         string              `json:"User,omitempty"`
	WorkingDir   string              `json:"WorkingDir"`
}

type history struct {
	Created   time.Time `json:"created"`
	CreatedBy string    `json:"created_by"`
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

// manifestEntry is one image in an archive's manifest.json.
type manifestEntry struct {
	Config   string   `json:"Config"`
	RepoTags []string `json:"RepoTags"`
	Layers   []string `json:"Layers"`
}

const layerName = "layer.tar"

// WriteTo writes the archive. It implements [io.WriterTo]. Errors: those of w, and that
// of an Archive without a binary.
func (a Archive) WriteTo(w io.Writer) (int64, error) {
	counted := &countingWriter{w: w}
	err := a.write(counted)
	return counted.n, err
}

func (a Archive) write(w io.Writer) error {
	config, err := a.config()
	if err != nil {
		return err
	}
	configName := hexSum(config) + ".json"
	manifest, err := json.Marshal([]manifestEntry{{
		Config:   configName,
		RepoTags: []string{a.Tag},
		Layers:   []string{layerName},
	}})
	if err != nil {
		return fmt.Errorf("writing the image manifest: %w", err)
	}
	var layer bytes.Buffer
	layer.Grow(len(a.Binary) + tarOverhead)
	if err := a.writeLayer(&layer); err != nil {
		return err
	}
	return writeTar(w, []file{
		{name: "manifest.json", mode: 0o444, data: manifest},
		{name: configName, mode: 0o444, data: config},
		{name: layerName, mode: 0o444, data: layer.Bytes()},
	})
}

// config returns the configuration file. Its SHA-256 is the image's ID on engines
// without the containerd image store. It contains the digest of the layer, so the ID
// depends on everything in the image except for the tag.
func (a Archive) config() ([]byte, error) {
	if len(a.Binary) == 0 || a.BinaryName == "" {
		return nil, errNoBinary
	}
	sum := sha256.New()
	if err := a.writeLayer(sum); err != nil {
		return nil, err
	}
	return a.configOf("sha256:" + hex.EncodeToString(sum.Sum(nil)))
}

// configOf is the configuration of an image whose one layer has this digest.
func (a Archive) configOf(diffID string) ([]byte, error) {
	entrypoint := a.Entrypoint
	if entrypoint == nil {
		entrypoint = []string{"/" + a.BinaryName}
	}
	ports := make(map[string]struct{}, len(a.ExposedPorts))
	for _, port := range a.ExposedPorts {
		ports[port] = struct{}{}
	}
	config, err := json.Marshal(imageConfig{
		Architecture: a.Arch,
		Config: containerConfig{
			Entrypoint:   entrypoint,
			ExposedPorts: ports,
			Labels:       a.Labels,
			User:         a.User,
			WorkingDir:   "/",
		},
		Created: epoch,
		History: []history{{Created: epoch, CreatedBy: "COPY " + a.BinaryName + " /"}},
		OS:      a.OS,
		RootFS:  rootFS{Type: "layers", DiffIDs: []string{diffID}},
	})
	if err != nil {
		return nil, fmt.Errorf("writing the image configuration: %w", err)
	}
	return config, nil
}

func (a Archive) writeLayer(w io.Writer) error {
	return writeTar(w, []file{{name: a.BinaryName, mode: binaryMode, data: a.Binary}})
}

type file struct {
	name string
	mode int64
	data []byte
}

// tarOverhead is the size that a tar adds to its only file: a header block, up to one
// block of padding, and two blocks at the end, 512 bytes each.
const tarOverhead = 4 * 512

func writeTar(w io.Writer, files []file) error {
	archive := tar.NewWriter(w)
	for _, f := range files {
		header := &tar.Header{
			Typeflag: tar.TypeReg,
			Name:     f.name,
			Size:     int64(len(f.data)),
			Mode:     f.mode,
			ModTime:  epoch,
			Format:   tar.FormatUSTAR,
		}
		if err := archive.WriteHeader(header); err != nil {
			return fmt.Errorf("writing the image archive: %w", err)
		}
		if _, err := archive.Write(f.data); err != nil {
			return fmt.Errorf("writing the image archive: %w", err)
		}
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("writing the image archive: %w", err)
	}
	return nil
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func hexSum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
