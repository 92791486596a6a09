package facts

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

// archives are the files of a container: a text that begins with > is a symbolic link.
type archives map[string]string

func (a archives) CopyFromContainer(_ context.Context, _, path string) (io.ReadCloser, container.PathStat, error) {
	content, ok := a[path]
	if !ok {
		return nil, container.PathStat{}, errdefs.ErrNotFound
	}
	if content == "!" {
		return nil, container.PathStat{}, errors.New("lost the engine")
	}
	header := &tar.Header{Name: path, Typeflag: tar.TypeReg, Size: int64(len(content))}
	if content[0] == '>' {
		header, content = &tar.Header{Name: path, Typeflag: tar.TypeSymlink, Linkname: content[1:]}, ""
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := w.WriteHeader(header); err != nil {
		return nil, container.PathStat{}, err
	}
	_, _ = io.WriteString(w, content)
	return io.NopCloser(&out), container.PathStat{}, w.Close()
}

func TestContainerRoots(t *testing.T) {
	t.Parallel()
	const debian, fedora = "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"
	for name, test := range map[string]struct {
		api  any
		env  []string
		want Roots
	}{
		"Debian":                {archives{debian: "PEM"}, nil, Roots{[]byte("PEM"), debian, true}},
		"links, as Fedora's":    {archives{fedora: ">../../ca-trust/bundle.pem", "/etc/pki/ca-trust/bundle.pem": ">/real", "/real": "PEM"}, nil, Roots{[]byte("PEM"), fedora, true}},
		"no such file":          {archives{}, nil, Roots{Known: true}},
		"a variable":            {archives{debian: "PEM", "/ca.pem": "own"}, []string{"SSL_CERT_FILE=/ca.pem"}, Roots{[]byte("own"), "/ca.pem", true}},
		"a link to itself":      {archives{debian: ">" + debian}, nil, Roots{}},
		"the engine is lost":    {archives{debian: "!"}, nil, Roots{}},
		"too large":             {archives{debian: strings.Repeat("x", maxRoots+1)}, nil, Roots{}},
		"an API without it":     {nil, nil, Roots{}},
		"a variable to nothing": {archives{debian: "PEM"}, []string{"SSL_CERT_FILE=/gone"}, Roots{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response := container.InspectResponse{ContainerJSONBase: &container.ContainerJSONBase{ID: "client"}, Config: &container.Config{Env: test.env}}
			roots, err := ContainerRoots(t.Context(), test.api, response)
			assert.Check(t, is.DeepEqual(roots, test.want))
			assert.Check(t, is.Equal(err == nil, test.want.Known))
		})
	}
}
