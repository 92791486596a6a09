package keep

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// sshRecipe is an engine on another machine, reached by ssh: Docker 26.1 in a
// namespace, and beside it an sshd with separate keys and accounts.
func sshRecipe() recipe {
	r := engine26Recipe()
	r.kind, r.slot, r.start = SSH, 7, startSSH
	r.reach = reachRemote()
	r.programs = append(r.programs, "sshd", "ssh", "ssh-keygen", "docker")
	return r
}

const sshPort = 22

// startSSH starts both. A client needs a key and a configuration. An ssh program of
// the engine's, to be put first in PATH, hides them, so that the endpoint is as plain
// as in practice.
func startSSH(ctx context.Context, r *running) error {
	if err := r.enclose(ctx); err != nil {
		return err
	}
	if err := r.linkUp(); err != nil {
		return err
	}
	if err := r.startDockerd(ctx); err != nil {
		return err
	}
	if err := r.writeSSH(ctx); err != nil {
		return fmt.Errorf("configuring ssh: %w", err)
	}
	r.Address = r.plan.inside().String()
	r.Host = "ssh://root@" + r.Address
	r.API = r.Socket // the ssh with the key is not in the PATH of tests
	r.Bin = r.path("bin")
	return r.startSSHD(ctx)
}

// sshdConfig lets one key in, as root, with an environment that does not depend
// on the machine's.
const sshdConfig = `ListenAddress %[2]s
HostKey %[1]s/host
AuthorizedKeysFile %[1]s/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 1000
SetEnv DOCKER_HOST=unix:///run/docker.sock PATH=%[3]s
`

const sshConfig = `Host *
IdentityFile %[1]s/user
IdentitiesOnly yes
UserKnownHostsFile %[1]s/known_hosts
GlobalKnownHostsFile none
StrictHostKeyChecking yes
BatchMode yes
LogLevel ERROR
`

// sshAccounts replaces the machine's accounts where sshd runs, since the machine's
// root may be locked, or have a shell that prints a greeting. The folder is root's
// home.
const sshAccounts = `root:x:0:0:root:%s:/bin/sh
sshd:x:100:65534::/run/sshd:/usr/sbin/nologin
`

func (r *running) writeSSH(ctx context.Context) error {
	dir := r.path("ssh")
	for _, made := range []string{dir, r.path("bin"), r.path("home")} {
		if err := os.Mkdir(made, 0o700); err != nil {
			return err
		}
	}
	for _, name := range []string{"host", "user"} {
		cmd := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", filepath.Join(dir, name)) //nolint:gosec // names from above
		if _, err := output(cmd); err != nil {
			return err
		}
	}
	hostKey, err := os.ReadFile(filepath.Join(dir, "host.pub")) //nolint:gosec // made just now
	if err != nil {
		return err
	}
	ssh, err := LookPath("ssh")
	if err != nil {
		return err
	}
	for name, text := range map[string]string{
		"ssh/sshd_config": fmt.Sprintf(sshdConfig, dir, r.plan.inside(), r.searchPath()),
		"ssh/ssh_config":  fmt.Sprintf(sshConfig, dir),
		"ssh/known_hosts": r.plan.inside().String() + " " + string(hostKey),
		"ssh/passwd":      fmt.Sprintf(sshAccounts, r.path("home")),
		"ssh/shadow":      "root:*:1:0:99999:7:::\nsshd:!:1::::::\n",
		"bin/ssh":         fmt.Sprintf("#!/bin/sh\nexec %s -F %s/ssh_config \"$@\"\n", ssh, dir),
	} {
		if err := os.WriteFile(r.path(name), []byte(text), 0o700); err != nil { //nolint:gosec // one of them is a program
			return err
		}
	}
	return nil
}

// sshdPlace makes the files that sshd needs, which only processes in the engine's
// mount namespace see.
const sshdPlace = `mkdir /run/sshd
mount --bind ssh/passwd /etc/passwd
mount --bind ssh/shadow /etc/shadow
`

func (r *running) startSSHD(ctx context.Context) error {
	if err := r.script(ctx, sshdPlace); err != nil {
		return err
	}
	program, err := r.program("sshd")
	if err != nil {
		return err
	}
	sshd := process{
		name: "sshd",
		argv: []string{program, "-D", "-e", "-f", r.path("ssh/sshd_config")},
		env:  []string{"PATH=" + r.searchPath()},
		log:  r.path("sshd.log"),
	}
	if err := r.box.start(ctx, sshd); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	if err := awaitSSH(ctx, netip.AddrPortFrom(r.plan.inside(), sshPort).String()); err != nil {
		return fmt.Errorf("sshd does not answer: %w; the end of its log:\n%s", err, Tail(sshd.log))
	}
	return nil
}

// awaitSSH waits until a server greets as one of ssh does (RFC 4253, section 4.2).
func awaitSSH(ctx context.Context, address string) error {
	for {
		err := greeted(ctx, address)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(readyPoll):
		}
	}
}

func greeted(ctx context.Context, address string) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // read only
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	greeting := make([]byte, 4)
	if _, err := conn.Read(greeting); err != nil {
		return err
	}
	if !strings.HasPrefix(string(greeting), "SSH-") {
		return fmt.Errorf("%q is not a greeting of ssh", greeting)
	}
	return nil
}
