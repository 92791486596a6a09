package keep

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
)

// goModule is a module with commands that no Debian package has. They are built
// from its own versions of what it needs, so that none of them is in go.mod.
type goModule struct {
	path     string
	version  string
	commands []string // packages below path
}

// folder is where the commands stay between runs.
func (m goModule) folder() (string, error) {
	cache, err := CacheDir()
	return filepath.Join(cache, path.Base(m.path)+"-"+m.version+"-"+runtime.GOARCH), err
}

// build returns the folder with the module's commands. It builds them unless an
// earlier run did; that took 20 s of one processor, and a download of 10 MB.
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

func (m goModule) install(ctx context.Context, bin string) error {
	args := make([]string, 0, 1+len(m.commands))
	args = append(args, "install")
	for _, command := range m.commands {
		args = append(args, m.path+"/"+command+"@"+m.version)
	}
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // the module's own words
	cmd.Dir = bin                                  // not in a module of ours
	cmd.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0")
	if _, err := output(cmd); err != nil {
		return fmt.Errorf("building %s: %w", m.path, err)
	}
	return nil
}
