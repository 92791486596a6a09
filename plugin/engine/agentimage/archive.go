package agentimage

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
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
	Architecture string            `json:"architecture"`
	Config       containerConfig   `json:"config"`
	Created      time.Time         `json:"created"`
	History      []ocispec.History `json:"history"`
	OS           string            `json:"os"`
	RootFS       ocispec.RootFS    `json:"rootfs"`
}

type containerConfig struct {
	Entrypoint   []string            `json:"Entrypoint"`
	ExposedPorts map[string]struct{} `json:"ExposedPorts,omitempty"`
	Labels       map[string]string   `json:"Labels,omitempty"`
	User         string              `json:"User,omitempty"`
	WorkingDir   string              `json:"WorkingDir"`
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
	content, err := a.content()
	if err != nil {
		return 0, err
	}
	return content.WriteTo(w)
}

func (a Archive) content() (*bytes.Buffer, error) {
	if len(a.Binary) == 0 || a.BinaryName == "" {
		return nil, errNoBinary
	}
	var layer, content bytes.Buffer
	layer.Grow(len(a.Binary) + tarOverhead)
	if err := a.writeLayer(&layer); err != nil {
		return nil, err
	}
	config, err := a.config(digest.FromBytes(layer.Bytes()))
	if err != nil {
		return nil, err
	}
	configName := digest.FromBytes(config).Encoded() + ".json"
	manifest, err := json.Marshal([]manifestEntry{{
		Config:   configName,
		RepoTags: []string{a.Tag},
		Layers:   []string{layerName},
	}})
	if err != nil {
		return nil, fmt.Errorf("writing the image manifest: %w", err)
	}
	return &content, writeTar(&content, []file{
		{name: "manifest.json", mode: 0o444, data: manifest},
		{name: configName, mode: 0o444, data: config},
		{name: layerName, mode: 0o444, data: layer.Bytes()},
	})
}

// config returns the configuration file of an image whose one layer has this digest. Its
// SHA-256 is the image's ID on engines without the containerd image store, so the ID
// depends on everything in the image except for the tag.
func (a Archive) config(layer digest.Digest) ([]byte, error) {
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
		History: []ocispec.History{{Created: &epoch, CreatedBy: "COPY " + a.BinaryName + " /"}},
		OS:      a.OS,
		RootFS:  ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{layer}},
	})
	if err != nil {
		return nil, fmt.Errorf("writing the image configuration: %w", err)
	}
	return config, nil
}

// digestLength is 128 bits in hexadecimal: enough to rule out two images with the
// same digest, and short enough for a line of `docker ps`.
const digestLength = 32

// contentDigest is a digest of everything in an image: its configuration, the format
// of its layer, and the binary. It is not the image's ID, because the image's label
// contains the digest.
func (a Archive) contentDigest(binary []byte) (string, error) {
	content := digest.Canonical.Digester()
	if err := a.writeLayer(content.Hash()); err != nil { // without the binary, which follows
		return "", err
	}
	_, _ = content.Hash().Write(binary) // never returns an error
	config, err := a.config(content.Digest())
	if err != nil {
		return "", err
	}
	return digest.FromBytes(config).Encoded()[:digestLength], nil
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
