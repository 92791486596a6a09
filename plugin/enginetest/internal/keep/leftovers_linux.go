package keep

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
)

// clearLeftovers removes what a killed keeper left behind: the kernel has ended
// its processes, so there are folders, cgroups and the guard route.
func clearLeftovers(ctx context.Context) {
	entries, err := os.ReadDir(Dir())
	if err != nil {
		return
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		dir := filepath.Join(Dir(), entry.Name())
		awaitOldInit(ctx, dir)
		slog.Warn("clearing what a killed keeper left", "engine", entry.Name())
		if err := errors.Join(removeCgroups(entry.Name()), removePodmanCgroups(dir), os.RemoveAll(dir)); err != nil {
			slog.Error("clearing what a killed keeper left", "error", err)
		}
	}
	removePodmanParents()
	if err := removeGuard(); err != nil {
		slog.Error("removing the guard route", "error", err)
	}
}

const cgroupMount = "/sys/fs/cgroup"

// cgroupName is the cgroup below which an engine puts its containers, which
// distinguishes them from those of other engines.
func cgroupName(id string) string { return "/" + name() + "-" + id }

// removeCgroups removes the empty cgroups that an engine leaves when it is
// killed, in the unified hierarchy or in every one of version 1 (cgroups(7)).
func removeCgroups(id string) error {
	roots, err := filepath.Glob(filepath.Join(cgroupMount, "*", cgroupName(id)))
	if err != nil {
		return err
	}
	var errs []error
	for _, root := range append(roots, filepath.Join(cgroupMount, cgroupName(id))) {
		errs = append(errs, removeCgroup(root))
	}
	return errors.Join(errs...)
}

// podmanParents are the cgroups in which every Podman on the machine puts those of
// its containers; it has no setting for them.
func podmanParents() []string {
	parents, _ := filepath.Glob(filepath.Join(cgroupMount, "*", "libpod_parent")) // the pattern is a good one
	return append(parents, filepath.Join(cgroupMount, "libpod_parent"))
}

// removePodmanCgroups removes those of the containers whose files are in an
// engine's folder.
func removePodmanCgroups(dir string) error {
	containers, err := filepath.Glob(filepath.Join(dir, "data", "*-containers", "*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, parent := range podmanParents() {
		for _, container := range containers {
			errs = append(errs, removeCgroup(filepath.Join(parent, "libpod-"+filepath.Base(container))))
		}
	}
	return errors.Join(errs...)
}

// removePodmanParents removes the cgroups around them, unless another Podman uses
// them.
func removePodmanParents() {
	for _, parent := range podmanParents() {
		_ = os.Remove(filepath.Join(parent, "conmon"))
		_ = os.Remove(parent)
	}
}

func removeCgroup(root string) error {
	var dirs []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, dir := range slices.Backward(dirs) {
		if err := os.Remove(dir); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}
