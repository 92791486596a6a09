package keep

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// goModule is a module with commands that no Debian package has. They are built
// from its own versions of what it needs, so that none of them is in go.mod.
type goModule struct {
	name     string // of its folder in the cache, with its version
	path     string
	version  string
	commands []string // packages below path
	flags    []string // of go install
	cgo      bool
}

// folder is where the commands stay between runs.
func (m goModule) folder() (string, error) {
	cache, err := CacheDir()
	return filepath.Join(cache, m.name+"-"+runtime.GOARCH), err
}

// build returns a folder with the module's commands in usr/sbin, as a bundle's folder
// has its programs. It builds them unless an earlier run did. That took 20 s of one
// processor and a download of 10 MB for gvproxy; 3.5 minutes and 100 MB for dockerd.
func (m goModule) build(ctx context.Context) (string, error) {
	final, err := m.folder()
	if err != nil {
		return "", err
	}
	if _, err = os.Stat(final); err == nil {
		return final, nil
	}
	if err = os.MkdirAll(filepath.Dir(final), 0o700); err != nil {
		return "", fmt.Errorf("making the cache of commands: %w", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(final), ".build-")
	if err != nil {
		return "", fmt.Errorf("making the cache of commands: %w", err)
	}
	if err = m.install(ctx, work); err == nil {
		err = os.Rename(work, final)
	}
	if errors.Is(err, os.ErrExist) {
		err = nil // another keeper's is as good as this one
	}
	_ = os.RemoveAll(work)
	return final, err
}

func (m goModule) install(ctx context.Context, root string) error {
	bin := filepath.Join(root, "usr", "sbin")
	if err := os.MkdirAll(bin, 0o755); err != nil { //nolint:gosec // ordinary users run the commands too
		return err
	}
	if err := os.Chmod(root, 0o755); err != nil { //nolint:gosec // see above
		return err
	}
	args := append([]string{"install"}, m.flags...)
	for _, command := range m.commands {
		args = append(args, m.path+"/"+command+"@"+m.version)
	}
	cgo := "0"
	if m.cgo {
		cgo = "1"
	}
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // the module's own words
	cmd.Dir = bin                                  // not in a module of ours
	cmd.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=", "GOWORK=off", "CGO_ENABLED="+cgo)
	if _, err := output(cmd); err != nil {
		return fmt.Errorf("building %s: %w", m.path, err)
	}
	return nil
}
