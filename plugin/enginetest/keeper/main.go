// Keeper runs a command and keeps its test engines from the first test binary
// to the last, so that each kind is started once:
//
//	go run ./plugin/enginetest/keeper -- go test ./...
//
// It also installs what the engines need:
//
//	go run ./plugin/enginetest/keeper install
//
// The Makefile calls it. All that it does is in package keep.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/internal/keep"
)

// claimedVariable is set if a keeper around this one already has the claim.
const claimedVariable = "NESTPROBE_ENGINETEST_CLAIMED"

const usage = "usage: keeper install, or keeper -- COMMAND [ARG...]"

func main() {
	keep.Role()
	status, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(status)
}

func run(args []string) (int, error) {
	switch {
	case len(args) == 1 && args[0] == "install":
		return install()
	case len(args) > 1 && args[0] == "--":
		return keepDuring(args[1:])
	}
	return 2, errors.New(usage)
}

func install() (int, error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := keep.Install(ctx); err != nil {
		return 1, err
	}
	return 0, nil
}

// keepDuring runs a command with a keeper and returns its exit status.
func keepDuring(command []string) (int, error) {
	// Ctrl-C reaches the command without the keeper, which stays so that the
	// command's last output is printed; SIGTERM is passed on.
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	claimed, err := claim(claimPath())
	if err != nil {
		return 1, err
	}
	defer claimed.Close() //nolint:errcheck // the process ends
	if err := keep.Supported(); err != nil {
		if keep.AllRequired() {
			return 1, err
		}
		fmt.Println("no engine is started:", err)
		return runCommand(ctx, command)
	}
	conn, err := keep.Connect(ctx)
	if err != nil {
		return 1, err
	}
	defer conn.Close() //nolint:errcheck // the process ends
	status, err := runCommand(ctx, command)
	if reply, missing := conn.Do(ctx, keep.Request{Op: keep.OpMissing}); missing == nil {
		fmt.Print(reply.Kinds)
	}
	return status, err
}

// runCommand runs a command and returns its exit status.
func runCommand(ctx context.Context, command []string) (int, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // the caller's own command
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), claimedVariable+"=yes")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}
