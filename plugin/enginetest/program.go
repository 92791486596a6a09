package enginetest

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/internal/keep"
)

// program is a main package below this one that runs in containers.
type program string

const (
	testServer program = "testserver"
	dindEntry  program = "dind"
)

// programSource is the source of the programs. A keeper may serve test binaries from
// before and after a change to it.
//
//go:embed testserver/*.go dind/*.go internal/certs/*.go
var programSource embed.FS

func sourceSum() string {
	sum := sha256.New()
	_ = fs.WalkDir(programSource, ".", func(path string, _ fs.DirEntry, _ error) error {
		data, _ := fs.ReadFile(programSource, path) // folders have none, files are in memory
		_, _ = sum.Write(data)
		return nil
	})
	return hex.EncodeToString(sum.Sum(nil)[:6])
}

// build builds the program for Linux, static, once per run, into the keeper's
// folder.
func (p program) build(ctx context.Context, arch string) (string, error) {
	final := filepath.Join(keep.Dir(), fmt.Sprintf("%s-%s-%s", p, arch, sourceSum()))
	if _, err := os.Stat(final); err == nil {
		return final, nil
	}
	work, err := os.MkdirTemp(keep.Dir(), "build-")
	if err != nil {
		return "", fmt.Errorf("building %s: %w", p, err)
	}
	defer os.RemoveAll(work) //nolint:errcheck // the keeper removes it at the end
	built := filepath.Join(work, string(p))
	source := "github.com/nestprobe/docker-nestprobe/plugin/enginetest/" + string(p)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", built, source) //nolint:gosec // names from above
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", p, err, out)
	}
	// The times of an image's files are part of its digest.
	if err := os.Chtimes(built, time.Unix(0, 0), time.Unix(0, 0)); err != nil {
		return "", fmt.Errorf("building %s: %w", p, err)
	}
	// Two test binaries may build it at the same time; either result will do.
	if err := os.Rename(built, final); err != nil {
		return "", fmt.Errorf("building %s: %w", p, err)
	}
	return final, nil
}
