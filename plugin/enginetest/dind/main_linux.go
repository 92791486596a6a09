// Dind is the entry point of the nested engine that enginetest.DindImage makes.
// It takes the arguments and the environment that the image docker:dind takes,
// so that either may stand for the other:
//
//	docker run --privileged nestprobe-dind:…
//	docker run --privileged -e DOCKER_TLS_CERTDIR= nestprobe-dind:…
//	docker run --privileged nestprobe-dind:… -H tcp://0.0.0.0:2375 -H unix:///var/run/docker.sock --tls=false
//
// Without -H, the engine listens on its socket, and on port 2376
// with TLS, or on 2375 without if DOCKER_TLS_CERTDIR is empty. It prepares the
// container as a place for an engine and becomes dockerd. There is no shell in
// the image, and no docker command.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

func main() {
	if err := run(os.Args[1:], os.Getenv("DOCKER_TLS_CERTDIR")); err != nil {
		fmt.Fprintln(os.Stderr, "dind:", err)
		os.Exit(1)
	}
}

func run(args []string, certDir string) error {
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") && args[0] != "dockerd" {
		return become(args) // as docker:dind, whatever it is
	}
	if len(args) > 0 && args[0] == "dockerd" {
		args = args[1:]
	} else if !hasHost(args) {
		hosts, err := hostArgs(certDir)
		if err != nil {
			return err
		}
		args = append(hosts, args...)
	}
	if err := prepare(); err != nil {
		return fmt.Errorf("%w: was the container started with --privileged?", err)
	}
	// An engine's containers lose their parents, and the first process must wait for them.
	return become(append([]string{"docker-init", "--", "dockerd"}, args...))
}

// become replaces this program by another.
func become(command []string) error {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return err
	}
	return fmt.Errorf("starting %s: %w", path, syscall.Exec(path, command, os.Environ())) //nolint:gosec // the container's own command
}

// hasHost says whether the arguments say where to listen.
func hasHost(args []string) bool {
	for _, arg := range args {
		name, _, _ := strings.Cut(arg, "=")
		if name == "--host" || strings.HasPrefix(arg, "-H") {
			return true
		}
	}
	return false
}

// hostArgs are the arguments for the listeners of an engine that was given none.
// Plain TCP says --tls=false, or dockerd waits for 15 s as a warning.
func hostArgs(certDir string) ([]string, error) {
	const socket = "--host=unix:///var/run/docker.sock"
	if certDir == "" {
		return []string{socket, "--host=tcp://0.0.0.0:2375", "--tls=false"}, nil
	}
	server, err := makeCertificates(certDir)
	if err != nil {
		return nil, err
	}
	return []string{
		socket, "--host=tcp://0.0.0.0:2376", "--tlsverify",
		"--tlscacert=" + server + "/ca.pem", "--tlscert=" + server + "/cert.pem", "--tlskey=" + server + "/key.pem",
	}, nil
}
