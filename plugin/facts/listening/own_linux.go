package listening

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ReadOwn is [Read] for the sockets that the processes which /proc shows have. In the PID
// namespace of a container and the network namespace of the host it lists those of the
// container only. Processes of other users can be read with CAP_SYS_PTRACE and CAP_SETUID
// (proc_pid_fd(5)). If one cannot be read, an error says so, since it may have any socket.
func ReadOwn() (Listeners, error) {
	folders, err := processes()
	if err != nil {
		return Listeners{}, err
	}
	return readOf(folders)
}

// readOf is [Read] for the sockets that the processes with some folders have.
func readOf(folders []string) (Listeners, error) {
	own := map[uint64]bool{}
	for _, folder := range folders {
		inodes, err := socketsOf(folder)
		if err != nil {
			return Listeners{}, fmt.Errorf("reading which sockets a process has: %w", err)
		}
		for _, inode := range inodes {
			own[inode] = true
		}
	}
	return read(maxSockets, func(inode uint64) bool { return own[inode] })
}

// Owner returns the name and the ID of the process that has a TCP socket which listens for
// connections to an address, in the network namespace of the calling thread. The name is
// empty if that is not known, such as for a process of another user.
func Owner(address netip.AddrPort) (name string, pid int) {
	var listening []uint64
	err := request(unix.IPPROTO_TCP, 1<<stateListen, address.Port(), func(message []byte) bool {
		if parse(message).serves(address.Addr().Unmap()) {
			listening = append(listening, inodeOf(message))
		}
		return true
	})
	folders, foldersErr := processes()
	if err != nil || foldersErr != nil {
		return "", 0
	}
	for _, folder := range folders {
		inodes, err := socketsOf(folder)
		if err != nil || !slices.ContainsFunc(inodes, func(i uint64) bool { return slices.Contains(listening, i) }) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, "comm")) //nolint:gosec // a file of the kernel
		if pid, pidErr := strconv.Atoi(filepath.Base(folder)); err == nil && pidErr == nil {
			return strings.TrimSpace(string(text)), pid
		}
	}
	return "", 0
}

// processes returns the folders of all processes that /proc shows.
func processes() ([]string, error) { return filepath.Glob("/proc/[0-9]*") }

// socketsOf returns the inodes of the sockets of the process with a folder; none if it has
// ended.
func socketsOf(folder string) (inodes []uint64, err error) {
	folder = filepath.Join(folder, "fd")
	err = asOwner(folder, func() error {
		files, err := os.ReadDir(folder)
		if err != nil {
			return err
		}
		for _, file := range files {
			target, err := os.Readlink(filepath.Join(folder, file.Name()))
			if unlessEnded(err) != nil {
				return err
			}
			if text, ok := strings.CutPrefix(target, "socket:["); ok {
				inode, err := strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 64)
				if err != nil {
					return err
				}
				inodes = append(inodes, inode)
			}
		}
		return nil
	})
	return inodes, unlessEnded(err)
}

// asOwner reads files as the user that a folder belongs to, if this process may
// (CAP_SETUID, setfsuid(2)). It is the alternative to CAP_DAC_READ_SEARCH, with which a
// container could open any file of its engine's host.
func asOwner(folder string, do func() error) error {
	var info unix.Stat_t
	if err := unix.Stat(folder, &info); err != nil {
		return err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := unix.SetfsuidRetUid(int(info.Uid))
	if err != nil {
		return err
	}
	defer func() { _ = unix.Setfsuid(before) }() // to one's own user is always allowed
	return do()
}

// unlessEnded drops the error of a process that has ended, or has closed a file.
func unlessEnded(err error) error {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}
