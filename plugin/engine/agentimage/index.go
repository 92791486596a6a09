package agentimage

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Index is one image for several platforms: an [Archive] for each, all with the same
// Tag. Registries and engines with the containerd image store hold such images; other
// engines load a single Archive.
type Index []Archive

// containerdName is the annotation with the reference that containerd, and Docker with
// its image store, give the image of a layout.
const containerdName = "io.containerd.image.name"

// WriteTo writes an OCI image layout as a tar (github.com/opencontainers/image-spec,
// image-layout.md), with gzipped layers, as registries hold them. It implements
// [io.WriterTo]. Like an Archive's, its bytes depend only on the contents. Errors: those
// of w, and of an Index without an Archive, an Archive without a binary, or a Tag that is
// no reference.
func (x Index) WriteTo(w io.Writer) (int64, error) {
	var layout layout
	manifests := make([]ocispec.Descriptor, len(x))
	for i, archive := range x {
		manifest, err := layout.addImage(archive)
		if err != nil {
			return 0, err
		}
		manifests[i] = manifest
	}
	index, err := layout.addJSON(ocispec.MediaTypeImageIndex, ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex,
		Manifests: manifests,
	})
	if err != nil {
		return 0, err
	}
	if index.Annotations, err = x.names(); err != nil {
		return 0, err
	}
	return layout.writeTo(w, index)
}

// names are the annotations with the image's reference, as docker save writes them.
func (x Index) names() (map[string]string, error) {
	if len(x) == 0 {
		return nil, errors.New("an image index needs an archive")
	}
	name, err := reference.ParseNormalizedNamed(x[0].Tag)
	if err != nil {
		return nil, fmt.Errorf("reading the reference of the image: %w", err)
	}
	name = reference.TagNameOnly(name)
	names := map[string]string{containerdName: name.String()}
	if tagged, ok := name.(reference.Tagged); ok {
		names[ocispec.AnnotationRefName] = tagged.Tag()
	}
	return names, nil
}

// layout collects the blobs of an image layout.
type layout struct {
	blobs []file
}

// addImage adds the manifest of an image, its configuration and its layer.
func (l *layout) addImage(a Archive) (ocispec.Descriptor, error) {
	if len(a.Binary) == 0 || a.BinaryName == "" {
		return ocispec.Descriptor{}, errNoBinary
	}
	var packed bytes.Buffer
	unpacked := digest.Canonical.Digester()
	compressor := gzip.NewWriter(&packed)
	if err := a.writeLayer(io.MultiWriter(compressor, unpacked.Hash())); err != nil {
		return ocispec.Descriptor{}, err
	}
	if err := compressor.Close(); err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("compressing the layer: %w", err)
	}
	config, err := a.config(unpacked.Digest())
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	manifest, err := l.addJSON(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    l.add(ocispec.MediaTypeImageConfig, config),
		Layers:    []ocispec.Descriptor{l.add(ocispec.MediaTypeImageLayerGzip, packed.Bytes())},
	})
	manifest.Platform = &ocispec.Platform{OS: a.OS, Architecture: a.Arch}
	return manifest, err
}

// addJSON adds a value as a blob.
func (l *layout) addJSON(mediaType string, value any) (ocispec.Descriptor, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("writing the image layout: %w", err)
	}
	return l.add(mediaType, data), nil
}

// add adds a blob, which is named after its digest.
func (l *layout) add(mediaType string, data []byte) ocispec.Descriptor {
	sum := digest.FromBytes(data)
	l.blobs = append(l.blobs, file{
		name: ocispec.ImageBlobsDir + "/" + sum.Algorithm().String() + "/" + sum.Encoded(),
		mode: 0o444,
		data: data,
	})
	return ocispec.Descriptor{MediaType: mediaType, Digest: sum, Size: int64(len(data))}
}

// writeTo writes a layout with one image.
func (l *layout) writeTo(w io.Writer, image ocispec.Descriptor) (int64, error) {
	version, err := json.Marshal(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	if err != nil {
		return 0, fmt.Errorf("writing the image layout: %w", err)
	}
	index, err := json.Marshal(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{image},
	})
	if err != nil {
		return 0, fmt.Errorf("writing the image layout: %w", err)
	}
	var content bytes.Buffer
	err = writeTar(&content, append([]file{
		{name: ocispec.ImageLayoutFile, mode: 0o444, data: version},
		{name: ocispec.ImageIndexFile, mode: 0o444, data: index},
	}, l.blobs...))
	if err != nil {
		return 0, err
	}
	return content.WriteTo(w)
}
