package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/internal/certs"
)

// makeCertificates fills the folders server and client of certDir, where clients
// with the same volume look, unless an earlier start did. It returns the former.
func makeCertificates(certDir string) (string, error) {
	server, client := filepath.Join(certDir, "server"), filepath.Join(certDir, "client")
	if _, err := os.Stat(filepath.Join(client, "key.pem")); err == nil { //nolint:gosec // the container's own folder
		return server, nil
	}
	for _, dir := range []string{server, client} {
		if err := os.MkdirAll(dir, 0o700); err != nil { //nolint:gosec // the container's own folder
			return "", fmt.Errorf("making the certificates' folder: %w", err)
		}
	}
	names, addresses, err := identity()
	if err != nil {
		return "", err
	}
	return server, certs.Write(server, client, names, addresses)
}

// identity is the names and addresses that clients use for this engine.
func identity() ([]string, []netip.Addr, error) {
	hostname, err := os.Hostname()
	if err != nil {
		return nil, nil, fmt.Errorf("finding the container's name: %w", err)
	}
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return nil, nil, fmt.Errorf("finding the container's addresses: %w", err)
	}
	var addresses []netip.Addr
	for _, address := range interfaces {
		if prefix, err := netip.ParsePrefix(address.String()); err == nil {
			addresses = append(addresses, prefix.Addr())
		}
	}
	return []string{hostname, "docker"}, addresses, nil
}

// prepare sets up the container so that an engine can run in it.
func prepare() error {
	if err := writableSys(); err != nil {
		return err
	}
	// Mounts of nested containers spread as on a machine.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("sharing mounts: %w", err)
	}
	if err := removeStale(); err != nil {
		return err
	}
	return delegateCgroups()
}

// removeStale removes the files by which daemons of an earlier start of the
// container would seem to run.
func removeStale() error {
	for _, pattern := range []string{"/run/docker*.pid", "/run/docker/containerd/*.pid"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := os.Remove(file); err != nil {
				return fmt.Errorf("removing what an earlier start left: %w", err)
			}
		}
	}
	return nil
}

// writableSys makes /sys and the cgroups below it writable where the outer
// engine has not.
func writableSys() error {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[1]+"/", "/sys/") || !strings.HasPrefix(fields[3]+",", "ro,") {
			continue
		}
		if err := unix.Mount("", fields[1], "", unix.MS_REMOUNT|unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("making %s writable: %w", fields[1], err)
		}
	}
	return nil
}

const cgroupRoot = "/sys/fs/cgroup"

// delegateCgroups lets nested containers have their own cgroups. In the
// unified hierarchy only a cgroup without processes has children with
// controllers (cgroups(7)), so this one's processes move into a child. With
// version 1 there is nothing to do.
func delegateCgroups() error {
	controllers, err := os.ReadFile(filepath.Join(cgroupRoot, "cgroup.controllers"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	child := filepath.Join(cgroupRoot, "init")
	if err = os.MkdirAll(child, 0o755); err != nil { //nolint:gosec // as every cgroup
		return err
	}
	processes, err := os.ReadFile(filepath.Join(cgroupRoot, "cgroup.procs"))
	if err != nil {
		return err
	}
	for process := range bytes.FieldsSeq(processes) {
		// One that has just ended cannot move, and need not.
		_ = os.WriteFile(filepath.Join(child, "cgroup.procs"), process, 0o600)
	}
	wanted := "+" + strings.Join(strings.Fields(string(controllers)), " +")
	return os.WriteFile(filepath.Join(cgroupRoot, "cgroup.subtree_control"), []byte(wanted), 0o600) //nolint:gosec // a fixed path
}
