package keep

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// bundle is a set of Debian packages that are unpacked into a separate folder and
// run from there, so that nothing on the machine changes. Their install scripts do
// not run.
type bundle struct {
	name     string
	suite    string   // Debian release
	packages []string // the first one is checked for its version
	version  string   // what that version starts with, epoch left out
	whole    bool     // also what the packages depend on, the C library included
	base     string   // release that has what the suite lacks; empty for none
}

// Debian returns the folder with the files of Debian packages and of all that they
// depend on. It downloads them unless an earlier call with this name did.
func Debian(ctx context.Context, name, suite string, packages ...string) (string, error) {
	return bundle{name: name, suite: suite, packages: packages, whole: true}.fetch(ctx)
}

// fetch returns the folder with the bundle's files. It downloads them unless
// an earlier run did.
func (b bundle) fetch(ctx context.Context) (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	final := filepath.Join(cache, b.name+"-"+runtime.GOARCH)
	if _, err = os.Stat(final); err == nil {
		return final, nil
	}
	if err = os.MkdirAll(cache, 0o700); err != nil {
		return "", fmt.Errorf("making the cache of packages: %w", err)
	}
	work, err := os.MkdirTemp(cache, ".fetch-")
	if err != nil {
		return "", fmt.Errorf("making the cache of packages: %w", err)
	}
	defer os.RemoveAll(work) //nolint:errcheck // leftovers are hidden and harmless
	if err := b.unpack(ctx, work); err != nil {
		return "", fmt.Errorf("fetching %s from Debian %s: %w", strings.Join(b.packages, ", "), b.suite, err)
	}
	// The rename is atomic; a folder from another keeper is as good as this one.
	if err := os.Rename(filepath.Join(work, "root"), final); err != nil && !os.IsExist(err) {
		return "", fmt.Errorf("filling the cache of packages: %w", err)
	}
	return final, nil
}

func (b bundle) unpack(ctx context.Context, work string) error {
	apt, err := newPrivateApt(ctx, work, b.suite, b.base)
	if err != nil {
		return err
	}
	if _, err = apt.run(ctx, "apt-get", "update"); err != nil {
		return err
	}
	download, archives := []string{"download"}, work
	if b.whole {
		download = []string{"install", "--yes", "--download-only", "--no-install-recommends", "--target-release", b.suite}
		archives = filepath.Join(work, "cache", "archives")
	}
	if _, err = apt.run(ctx, "apt-get", append(download, b.packages...)...); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(archives, "*.deb"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := b.checkVersion(ctx, apt, file); err != nil {
			return err
		}
		if _, err := apt.run(ctx, "dpkg", "-x", file, filepath.Join(work, "root")); err != nil {
			return err
		}
	}
	return nil
}

// checkVersion refuses another version of the bundle's first package: Debian's
// unstable release moves on, and a kind must be what its name says.
func (b bundle) checkVersion(ctx context.Context, apt *privateApt, file string) error {
	if !strings.HasPrefix(filepath.Base(file), b.packages[0]+"_") {
		return nil
	}
	version, err := apt.run(ctx, "dpkg-deb", "--field", file, "Version")
	if err != nil {
		return err
	}
	version = strings.TrimSpace(version)
	if _, after, ok := strings.Cut(version, ":"); ok {
		version = after
	}
	if !strings.HasPrefix(version, b.version) {
		return fmt.Errorf("%s is at version %s there now, not at %s*", b.packages[0], version, b.version)
	}
	return nil
}

// privateApt is apt with separate sources, lists and cache, in one folder.
// The machine's other settings hold, proxies for instance.
type privateApt struct {
	dir string
}

const debianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

func newPrivateApt(ctx context.Context, dir string, suites ...string) (*privateApt, error) {
	mirror, err := debianMirror(ctx)
	if err != nil {
		return nil, err
	}
	for _, sub := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	options := ""
	if _, err := os.Stat(debianKeyring); err == nil {
		options = "[signed-by=" + debianKeyring + "] "
	}
	sources := ""
	for _, suite := range suites {
		if suite != "" {
			sources += fmt.Sprintf("deb %s%s %s main\n", options, mirror, suite)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "sources.list"), []byte(sources), 0o600); err != nil {
		return nil, err
	}
	config := fmt.Sprintf(`Dir::Etc::sourcelist "%[1]s/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "%[1]s/lists";
Dir::State::status "/dev/null";
Dir::Cache "%[1]s/cache";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::Retries "3";
APT::Sandbox::User "";
APT::Update::Post-Invoke-Success { };
`, dir)
	return &privateApt{dir: dir}, os.WriteFile(filepath.Join(dir, "apt.conf"), []byte(config), 0o600)
}

// run runs one of apt's or dpkg's programs in the private folder.
func (a *privateApt) run(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // the bundle's own words
	cmd.Dir = a.dir
	cmd.Env = append(os.Environ(), "PATH="+searchPath(), "APT_CONFIG="+filepath.Join(a.dir, "apt.conf"), "LC_ALL=C")
	return output(cmd)
}

// output runs a command; what it printed is in the error.
func output(cmd *exec.Cmd) (string, error) {
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

// debianMirror is the mirror that the machine itself uses.
func debianMirror(ctx context.Context) (string, error) {
	targets, err := output(exec.CommandContext(ctx, "apt-get", "indextargets",
		"--format", "$(ORIGIN) $(LABEL) $(REPO_URI)", "Created-By: Packages"))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(targets) {
		fields := strings.Fields(line)
		// The label distinguishes the main archive from that of security fixes.
		if len(fields) == 3 && fields[0] == "Debian" && fields[1] == "Debian" {
			return fields[2], nil
		}
	}
	return "", &MissingError{Needs: "packages of Debian", Fix: "use a machine whose apt has a Debian mirror, after apt-get update"}
}
