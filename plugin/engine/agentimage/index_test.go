package agentimage

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"gotest.tools/v3/assert"
)

// sampleIndex is one image for two platforms.
func sampleIndex() Index {
	amd64 := sample()
	amd64.Arch, amd64.Binary = "amd64", []byte("another program")
	return Index{sample(), amd64}
}

// blobs reads the blobs of a layout, and checks that each has the digest of its name and
// that a descriptor gives its size.
type blobs struct {
	*testing.T
	files map[string]entry
}

func (b blobs) read(d ocispec.Descriptor) []byte {
	b.Helper()
	data := b.files["blobs/sha256/"+d.Digest.Encoded()].data
	assert.Equal(b, digest.FromBytes(data), d.Digest)
	assert.Equal(b, int64(len(data)), d.Size)
	return data
}

func decode[T any](t *testing.T, data []byte) T {
	t.Helper()
	var value T
	assert.NilError(t, json.Unmarshal(data, &value))
	return value
}

func layoutOf(t *testing.T, x Index) (blobs, ocispec.Descriptor) {
	t.Helper()
	var out bytes.Buffer
	n, err := x.WriteTo(&out)
	assert.NilError(t, err)
	assert.Equal(t, n, int64(out.Len()))
	layout := blobs{t, untar(t, out.Bytes())}
	assert.Equal(t, string(layout.files["oci-layout"].data), `{"imageLayoutVersion":"1.0.0"}`)
	top := decode[ocispec.Index](t, layout.files["index.json"].data)
	assert.Equal(t, len(top.Manifests), 1)
	return layout, top.Manifests[0]
}

func TestIndexHasAnImageForEachPlatform(t *testing.T) {
	t.Parallel()
	layout, image := layoutOf(t, sampleIndex())
	assert.Equal(t, image.Annotations[ocispec.AnnotationRefName], "1")
	assert.Equal(t, image.Annotations[containerdName], "docker.io/library/sample:1")
	manifests := decode[ocispec.Index](t, layout.read(image)).Manifests
	assert.Equal(t, len(manifests), 2)
	for i, archive := range sampleIndex() {
		assert.Equal(t, manifests[i].Platform.OS+"/"+manifests[i].Platform.Architecture, "linux/"+archive.Arch)
		manifest := decode[ocispec.Manifest](t, layout.read(manifests[i]))
		config := decode[ocispec.Image](t, layout.read(manifest.Config))
		assert.Equal(t, config.Architecture, archive.Arch)
		assert.Equal(t, len(manifest.Layers), 1)
		assert.Equal(t, manifest.Layers[0].MediaType, ocispec.MediaTypeImageLayerGzip)
		unpacked, err := gzip.NewReader(bytes.NewReader(layout.read(manifest.Layers[0])))
		assert.NilError(t, err)
		layer, err := io.ReadAll(unpacked)
		assert.NilError(t, err)
		assert.DeepEqual(t, config.RootFS.DiffIDs, []digest.Digest{digest.FromBytes(layer)})
		assert.DeepEqual(t, untar(t, layer)["program"].data, archive.Binary)
	}
}

func TestIndexOfTheSameContentsIsTheSame(t *testing.T) {
	t.Parallel()
	var once, again bytes.Buffer
	_, err := sampleIndex().WriteTo(&once)
	assert.NilError(t, err)
	_, err = sampleIndex().WriteTo(&again)
	assert.NilError(t, err)
	assert.Assert(t, bytes.Equal(once.Bytes(), again.Bytes()))
}

func TestIndexThatIsIncomplete(t *testing.T) {
	t.Parallel()
	noBinary := sample()
	noBinary.Binary = nil
	badTag := sample()
	badTag.Tag = "Not/A/Reference"
	for name, index := range map[string]Index{"no archive": {}, "no binary": {noBinary}, "no reference": {badTag}} {
		n, err := index.WriteTo(io.Discard)
		assert.Assert(t, err != nil, name)
		assert.Equal(t, n, int64(0), name)
	}
}
