package facts

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
)

// Roots are the certificates of the authorities that programs in a place trust.
type Roots struct {
	PEM   []byte // nil if there is no such file, or none could be read
	Path  string // of the file; empty as PEM is
	Known bool   // whether it could be found out
}

// Files of trusted authorities, in the order in which Go looks for them
// (crypto/x509/root_linux.go). OpenSSL has one of them too.
var rootFiles = []string{
	"/etc/ssl/certs/ca-certificates.crt",                // Debian, Ubuntu, Gentoo
	"/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora, RHEL 6
	"/etc/ssl/ca-bundle.pem",                            // openSUSE
	"/etc/pki/tls/cacert.pem",                           // OpenELEC
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // RHEL 7
	"/etc/ssl/cert.pem",                                 // Alpine
}

// rootsVariable names another file to Go, OpenSSL and curl.
const rootsVariable = "SSL_CERT_FILE"

// rootsOf returns the first file of trusted authorities that there is, or the error of one that
// could not be read.
func rootsOf(variable string, read func(path string) ([]byte, error)) (Roots, error) {
	paths := rootFiles
	if variable != "" {
		paths = []string{variable}
	}
	for _, file := range paths {
		switch content, err := read(file); {
		case err == nil && len(content) > 0:
			return Roots{PEM: content, Path: file, Known: true}, nil
		case err != nil && !errors.Is(err, os.ErrNotExist):
			return Roots{}, err
		}
	}
	return Roots{Known: true}, nil
}

// MachineRoots returns what programs on this machine trust. On Windows and macOS that is in no
// file.
func MachineRoots() Roots {
	roots, _ := rootsOf(os.Getenv(rootsVariable), os.ReadFile) // Go's own TLS ignores the error too
	return roots
}

// ArchiveReader reads files of containers. Not every API has it.
type ArchiveReader interface {
	CopyFromContainer(ctx context.Context, id, path string) (io.ReadCloser, container.PathStat, error)
}

// Bounds of reading a container's file.
const (
	rootsTime = 5 * time.Second
	maxRoots  = 4 << 20 // bytes; Debian's file has 0.2 MiB
	maxLinks  = 8       // symbolic links from one file to another
)

// ContainerRoots returns what programs in a container trust. The API answers for containers
// that have no shell too. It is an error if that is not known.
func ContainerRoots(ctx context.Context, api any, response container.InspectResponse) (Roots, error) {
	unknown := fmt.Sprintf("it is not known which authorities container %s trusts", ContainerName(response))
	reader, ok := api.(ArchiveReader)
	if !ok {
		return Roots{}, errors.New(unknown + ": the API cannot read its files")
	}
	ctx, cancel := context.WithTimeout(ctx, rootsTime)
	defer cancel()
	variable := rootsVariableOf(response)
	roots, err := rootsOf(variable, func(file string) ([]byte, error) { return readFrom(ctx, reader, response.ID, file) })
	switch {
	case err != nil:
		return Roots{}, fmt.Errorf("%s: %w", unknown, err)
	case variable != "" && roots.PEM == nil:
		return Roots{}, fmt.Errorf("%s: the engine has no file %s, which %s names: it may be on a tmpfs", unknown, variable, rootsVariable)
	}
	return roots, nil
}

// rootsVariableOf returns the file that the environment of a container names; empty for none.
func rootsVariableOf(response container.InspectResponse) (file string) {
	if response.Config == nil {
		return ""
	}
	for _, v := range response.Config.Env {
		if value, ok := strings.CutPrefix(v, rootsVariable+"="); ok {
			file = value
		}
	}
	if file != "" && !path.IsAbs(file) {
		file = path.Join("/", response.Config.WorkingDir, file)
	}
	return file
}

// readFrom reads a file of a container, and follows symbolic links: the API returns those as
// they are.
func readFrom(ctx context.Context, api ArchiveReader, id, file string) ([]byte, error) {
	for range maxLinks {
		content, link, err := readOnce(ctx, api, id, file)
		switch {
		case errdefs.IsNotFound(err):
			return nil, os.ErrNotExist
		case err != nil || link == "":
			return content, err
		case path.IsAbs(link):
			file = link
		default:
			file = path.Join(path.Dir(file), link)
		}
	}
	return nil, fmt.Errorf("reading %s: too many symbolic links", file)
}

// readOnce returns a file's content, or where its link leads.
func readOnce(ctx context.Context, api ArchiveReader, id, file string) (content []byte, link string, err error) {
	archive, _, err := api.CopyFromContainer(ctx, id, file)
	if err != nil {
		return nil, "", err
	}
	defer archive.Close() //nolint:errcheck // it was only read
	entry := tar.NewReader(archive)
	header, err := entry.Next()
	if err != nil {
		return nil, "", fmt.Errorf("reading %s: %w", file, err)
	}
	switch {
	case header.Typeflag == tar.TypeSymlink:
		return nil, header.Linkname, nil
	case header.Typeflag != tar.TypeReg:
		return nil, "", os.ErrNotExist // a folder is no file of authorities
	case header.Size > maxRoots:
		return nil, "", fmt.Errorf("reading %s: it is larger than %d MiB", file, maxRoots>>20)
	}
	content, err = io.ReadAll(io.LimitReader(entry, maxRoots))
	return content, "", err
}
