package keep

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// roleVariable gives a program that calls [Role] first another role: the keeper, or
// the first process of an engine's namespaces. So only the program's own file is
// needed to start either.
const roleVariable = "NESTPROBE_ENGINETEST_ROLE"

const (
	roleKeeper = "keeper"
	roleInit   = "init"
)

// Role runs the keeper, an engine's first process, a forwarder or an exposer if
// this process was started to be one, and then ends it. Otherwise it returns
// immediately. It must be called before anything else is done.
func Role() {
	var err error
	switch os.Getenv(roleVariable) {
	case roleKeeper:
		err = serve()
	case roleInit:
		err = runInit(os.Stdin, os.Stdout)
	case roleForwarder:
		err = runForwarder(os.Args[1:])
	case roleExposer:
		err = runExposer(os.Args[1:])
	default:
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Supported says whether engines can be started on this system.
func Supported() error { return nil }

// starter starts keepers until one answers. A keeper ends if it finds another at
// work, or if no test connects to it.
type starter struct {
	done chan struct{} // closed when the last one that was started ended
}

func (s *starter) ensure() error {
	if s.done != nil {
		select {
		case <-s.done:
		default:
			return nil
		}
	}
	// No context: the keeper outlives its starter by design, and ends with its
	// last connection.
	cmd := exec.Command("/proc/self/exe") //nolint:noctx // see above
	cmd.Env = append(os.Environ(), roleVariable+"="+roleKeeper)
	cmd.Dir = "/" // and no output: it logs to LogPath, and go test waits for open pipes
	// A new session, so that Ctrl-C ends the tests but not the keeper, which cleans
	// up after them.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the keeper of engines: %w", err)
	}
	done := make(chan struct{})
	s.done = done
	go func() { // ends with the keeper; reaps it in a test binary that lives longer
		defer close(done)
		_ = cmd.Wait()
	}()
	return nil
}

// makeDir makes the keeper's folder and refuses one that someone else could
// have put there.
func makeDir() error {
	if err := os.Mkdir(Dir(), 0o700); err != nil && !os.IsExist(err) {
		return fmt.Errorf("making the keeper's folder: %w", err)
	}
	info, err := os.Lstat(Dir())
	if err != nil {
		return fmt.Errorf("making the keeper's folder: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(stat.Uid) != os.Getuid() || info.Mode().Perm() != 0o700 {
		return fmt.Errorf("%s is not a private folder of this user: remove it", Dir())
	}
	return nil
}
