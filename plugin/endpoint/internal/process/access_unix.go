//go:build !windows

package process

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// FixAccess says how this user gets the right to open a socket. The result is empty
// if only the socket's owner can give it.
func FixAccess(path string) AccessFix {
	info, err := os.Stat(path)
	if err != nil || info.Mode()&fs.ModeSocket == 0 {
		return AccessFix{}
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return AccessFix{}
	}
	if InContainer() {
		return fixByOption(info.Mode(), owner)
	}
	return fixByGroup(info.Mode(), owner)
}

// The permissions that connecting takes (unix(7)).
const (
	ownerMayOpen = 0o600
	groupMayOpen = 0o060
)

// fixByGroup says how to join the socket's group. It does not suggest root's group.
func fixByGroup(mode fs.FileMode, owner *syscall.Stat_t) AccessFix {
	if mode&groupMayOpen != groupMayOpen || owner.Gid == 0 {
		return AccessFix{}
	}
	id := strconv.FormatUint(uint64(owner.Gid), 10)
	group := groupName(id)
	me, err := user.LookupId(strconv.Itoa(os.Geteuid()))
	if group == "" || err != nil {
		return AccessFix{}
	}
	// The user database may have groups that this session does not have yet.
	if groups, err := me.GroupIds(); err == nil && slices.Contains(groups, id) {
		return AccessFix{
			Hint:     "log in again, since this session is older than your membership of the group " + group,
			Commands: []string{shell.Line("newgrp %s", group)},
			Evidence: []string{fmt.Sprintf("%s is a member of %s by the user database", me.Username, group)},
		}
	}
	return AccessFix{
		Hint:     "add your user to the group " + group + ", whose members have full control of this machine through the engine, and log in again",
		Commands: []string{shell.Line("sudo usermod -aG %s %s", group, me.Username), shell.Line("newgrp %s", group)},
	}
}

// fixByOption says with which option of docker run the container may open the
// socket. Ids are the engine's, and the container may have no names for them.
func fixByOption(mode fs.FileMode, owner *syscall.Stat_t) AccessFix {
	switch {
	case mode&groupMayOpen == groupMayOpen:
		return fixByID("the socket's group added", "--group-add", owner.Gid, "/proc/self/gid_map")
	case mode&ownerMayOpen == ownerMayOpen:
		return fixByID("the socket's owner as its user", "--user", owner.Uid, "/proc/self/uid_map")
	default:
		return AccessFix{}
	}
}

func fixByID(with, flag string, id uint32, idMap string) AccessFix {
	if id == overflowID && isMapped(idMap) {
		return AccessFix{
			Hint:     "start this container in the engine's own user namespace, since the socket's owners have no ids in this one",
			Commands: []string{"docker run --userns=host ..."},
			Evidence: []string{idMap + " does not hold all ids"},
		}
	}
	return AccessFix{
		Hint:     "start this container with " + with,
		Commands: []string{shell.Line("docker run %s %s ...", shell.Text(flag), id)},
	}
}

// overflowID stands for ids that a user namespace has none for
// (user_namespaces(7); the kernel's default for /proc/sys/kernel/overflowgid).
const overflowID = 65534

// isMapped says whether this user namespace has fewer ids than the kernel.
func isMapped(idMap string) bool {
	data, err := os.ReadFile(idMap) //nolint:gosec // one of the two files of this process
	return err == nil && strings.Join(strings.Fields(string(data)), " ") != "0 0 4294967295"
}
