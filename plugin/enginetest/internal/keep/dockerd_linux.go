package keep

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// sbin is where Debian has daemons and iptables, which an ordinary user's PATH
// leaves out.
const sbin = "/usr/local/sbin:/usr/sbin:/sbin"

func searchPath() string { return os.Getenv("PATH") + ":" + sbin }

// LookPath finds a program of this machine, an administrator's included.
func LookPath(program string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	for _, dir := range filepath.SplitList(sbin) {
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("there is no %s on this machine", program)
}

// startDockerd starts a dockerd in the engine's namespaces: the bundles', which
// are laid over /usr there, or else the machine's.
func (r *running) startDockerd(ctx context.Context, args ...string) error {
	// Not the machine's configuration, which could contradict the arguments.
	if err := os.WriteFile(r.path("daemon.json"), []byte("{}"), 0o600); err != nil {
		return fmt.Errorf("writing the daemon's configuration: %w", err)
	}
	dockerd, err := r.program("dockerd")
	if err != nil {
		return err
	}
	proxy, err := r.program("docker-proxy")
	if err != nil {
		return err
	}
	r.Socket = r.path("docker.sock")
	r.daemon = process{
		name: "dockerd",
		log:  r.path("dockerd.log"),
		env:  []string{"PATH=" + r.searchPath(), "HOME=" + r.Dir},
		argv: append([]string{
			dockerd,
			"--config-file", r.path("daemon.json"),
			"--data-root", r.path("data"),
			"--exec-root", r.path("exec"),
			"--pidfile", r.path("dockerd.pid"),
			"--host", "unix://" + r.Socket,
			// Where containers of a remote engine expect it; /run is private.
			"--host", "unix:///run/docker.sock",
			"--userland-proxy-path", proxy,
			"--exec-opt", "native.cgroupdriver=cgroupfs",
			"--cgroup-parent", cgroupName(r.ID),
			"--bip", r.plan.bridge().String(),
			"--default-address-pool", fmt.Sprintf("base=%s,size=%d", r.plan.pool(), poolSize),
			"--dns", r.plan.resolver().String(),
		}, append(args, r.args...)...),
	}
	if slices.Contains(r.args, RemapRoot) {
		if err := r.makeSubordinates(ctx); err != nil {
			return err
		}
	}
	return r.startDaemon(ctx)
}

// RemapRoot has dockerd give containers user ids of their own: the subordinate ones of root.
const RemapRoot = "--userns-remap=root"

// makeSubordinates shows the engine's processes a machine on which root has subordinate user
// ids.
func (r *running) makeSubordinates(ctx context.Context) error {
	ids := fmt.Sprintf("root:%d:%d\n", rootlessFirst, rootlessCount)
	if err := os.WriteFile(r.path("subids"), []byte(ids), 0o600); err != nil {
		return fmt.Errorf("making subordinate user ids: %w", err)
	}
	return r.script(ctx, "for file in subuid subgid; do [ -e /etc/$file ] && mount --bind subids /etc/$file; done")
}

// program is the path of a program inside the engine's namespaces: a bundle's, if
// one has it, or else the machine's.
func (r *running) program(name string) (string, error) {
	for _, root := range r.roots {
		for _, dir := range []string{"/usr/sbin", "/usr/bin"} {
			path := filepath.Join(dir, name)
			if _, err := os.Stat(filepath.Join(root, path)); err == nil {
				return path, nil
			}
		}
	}
	return LookPath(name)
}

// searchPath leads to the bundles' programs rather than to some in /usr/local.
func (r *running) searchPath() string {
	if len(r.roots) > 0 {
		return "/usr/sbin:/usr/bin:" + searchPath()
	}
	return searchPath()
}

// enclose puts the engine into its own namespaces and guards its addresses.
func (r *running) enclose(ctx context.Context) error {
	if err := addGuard(); err != nil {
		return err
	}
	r.onStop(func(context.Context) error { return removeCgroups(r.ID) })
	box, err := newSandbox(r.Dir, true)
	if err != nil {
		return err
	}
	r.box = box
	r.onStop(func(context.Context) error { return box.close() })
	if len(r.roots) > 0 {
		if _, err := box.order(ctx, initRequest{Op: "unpack", Roots: r.roots}); err != nil {
			return err
		}
	}
	return r.loopbackUp(ctx)
}
