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

// packageOf is the Debian package that has a program.
func packageOf(program string) string {
	switch program {
	case "dockerd", "docker", "docker-proxy":
		return "docker.io"
	case "nft":
		return "nftables"
	case "nsenter":
		return "util-linux"
	case "sshd":
		return "openssh-server"
	case "ssh", "ssh-keygen":
		return "openssh-client"
	case "apt-get":
		return "apt"
	}
	return program
}

// Install puts on the machine what the kinds of engines need and fetches their
// packages into the cache. It does not change what is there already, nor a running
// engine: the packages of other engines are unpacked, not installed. Where it
// cannot install, the error says what is missing.
func Install(ctx context.Context) error {
	_, noApt := LookPath("apt-get")
	if cannot := noApt != nil || os.Getuid() != 0; cannot && !AllRequired() {
		fmt.Println("installing nothing for the tests: that needs root and the packages of Debian")
		return nil
	}
	if err := installPrograms(ctx); err != nil {
		return err
	}
	for _, bundle := range bundles() {
		if err := bundle.announce(); err != nil {
			return err
		}
		if _, err := bundle.fetch(ctx); err != nil {
			return err
		}
	}
	return buildModules(ctx)
}

// buildModules builds the commands that no package has.
func buildModules(ctx context.Context) error {
	for _, recipe := range recipes() {
		if recipe.module.path == "" {
			continue
		}
		folder, err := recipe.module.folder()
		if err != nil {
			return err
		}
		if _, err := os.Stat(folder); err == nil {
			continue
		}
		fmt.Printf("building for the tests, into %s: %s %s\n", folder, recipe.module.path, recipe.module.version)
		if _, err := recipe.module.build(ctx); err != nil {
			return err
		}
	}
	return nil
}

// bundles lists everything that is fetched.
func bundles() []bundle {
	var all []bundle
	for _, recipe := range recipes() {
		all = append(all, recipe.bundles...)
	}
	return append(all, registryBundle())
}

func (b bundle) announce() error {
	cache, err := CacheDir()
	if err != nil {
		return err
	}
	final := filepath.Join(cache, b.name+"-"+runtime.GOARCH)
	if _, err := os.Stat(final); err == nil {
		return nil
	}
	fmt.Printf("fetching for the tests, into %s: %s (Debian %s)\n", final, joined(b.packages), b.suite)
	return nil
}

func installPrograms(ctx context.Context) error {
	missing := missingPrograms()
	if len(missing) == 0 {
		return nil
	}
	packages := []string{}
	seen := map[string]bool{}
	for _, program := range missing {
		if name := packageOf(program); !seen[name] {
			packages = append(packages, name)
			seen[name] = true
		}
	}
	if _, err := LookPath("apt-get"); err != nil || os.Getuid() != 0 {
		return fmt.Errorf("the tests need programs that are missing here: %s (in Debian: apt-get install %s)",
			joined(missing), joined(packages))
	}
	fmt.Printf("installing for the tests, with apt-get: %s\n", joined(packages))
	install := append([]string{"install", "--yes", "--no-install-recommends", "--no-upgrade"}, packages...)
	first := aptGet(ctx, install...)
	if first == nil {
		return nil
	}
	// The lists may be absent or old.
	if err := aptGet(ctx, "update"); err != nil {
		return errors.Join(first, err)
	}
	return aptGet(ctx, install...)
}

func aptGet(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", args...) //nolint:gosec // the packages named above
	cmd.Env = append(os.Environ(), "PATH="+searchPath(), "DEBIAN_FRONTEND=noninteractive")
	_, err := output(cmd)
	return err
}
