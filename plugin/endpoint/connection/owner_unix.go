//go:build !windows

package connection

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// describeFile gives the mode and owner of a file.
func describeFile(path string) string {
	info, err := os.Lstat(path)
	if err != nil {
		return "file: " + err.Error()
	}
	text := fmt.Sprintf("file: %s, mode %s", path, info.Mode())
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return text
	}
	return fmt.Sprintf("%s, owner %s, group %s", text, named(owner.Uid, userName), named(owner.Gid, groupName))
}

// identity gives the user and groups of this process.
func identity() string {
	groups, _ := os.Getgroups() // none is what an error amounts to
	slices.Sort(groups)
	names := []string{named(uint32(os.Getegid()), groupName)} //nolint:gosec // ids are 32 bits wide in the kernel
	for _, id := range slices.Compact(groups) {
		if id != os.Getegid() {
			names = append(names, named(uint32(id), groupName)) //nolint:gosec // ids are 32 bits wide in the kernel
		}
	}
	//nolint:gosec // ids are 32 bits wide in the kernel
	return fmt.Sprintf("process: uid %s, gids %s", named(uint32(os.Geteuid()), userName), strings.Join(names, ", "))
}

// named is an id with its name, if it has one.
func named(id uint32, name func(string) string) string {
	number := strconv.FormatUint(uint64(id), 10)
	if known := name(number); known != "" {
		return number + " (" + known + ")"
	}
	return number
}

func userName(id string) string {
	found, err := user.LookupId(id)
	if err != nil {
		return ""
	}
	return found.Username
}

func groupName(id string) string {
	found, err := user.LookupGroupId(id)
	if err != nil {
		return ""
	}
	return found.Name
}

// socketWayIn says how to get the right to open a socket. The result is empty
// when nothing short of its owner's help would give it.
func socketWayIn(path string) wayIn {
	info, err := os.Stat(path)
	if err != nil || info.Mode()&fs.ModeSocket == 0 {
		return wayIn{}
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return wayIn{}
	}
	if inContainer() {
		return containerWayIn(info.Mode(), owner)
	}
	return groupWayIn(info.Mode(), owner)
}

// The permissions that connecting takes (unix(7)).
const (
	ownerMayOpen = 0o600
	groupMayOpen = 0o060
)

// groupWayIn says how to join the socket's group, unless that is root's, which
// nobody should join.
func groupWayIn(mode fs.FileMode, owner *syscall.Stat_t) wayIn {
	if mode&groupMayOpen != groupMayOpen || owner.Gid == 0 {
		return wayIn{}
	}
	id := strconv.FormatUint(uint64(owner.Gid), 10)
	group := groupName(id)
	me := userName(strconv.Itoa(os.Geteuid()))
	if group == "" || me == "" {
		return wayIn{}
	}
	if isMember(me, id) {
		return wayIn{
			hint:     "log in again, since this session is older than your membership of the group " + group,
			commands: []string{"newgrp " + group},
			evidence: []string{fmt.Sprintf("%s is a member of %s by the user database", me, group)},
		}
	}
	return wayIn{
		hint:     "add your user to the group " + group + " and log in again",
		commands: []string{"sudo usermod -aG " + group + " " + me, "newgrp " + group},
	}
}

// containerWayIn says how to start the container so that it may open the
// socket. Ids are the engine's, and the container need not know names for them.
func containerWayIn(mode fs.FileMode, owner *syscall.Stat_t) wayIn {
	switch {
	case mode&groupMayOpen == groupMayOpen:
		return idWayIn("the socket's group added", "--group-add", owner.Gid, "/proc/self/gid_map")
	case mode&ownerMayOpen == ownerMayOpen:
		return idWayIn("the socket's owner as its user", "--user", owner.Uid, "/proc/self/uid_map")
	default:
		return wayIn{}
	}
}

func idWayIn(with, flag string, id uint32, idMap string) wayIn {
	if id == overflowID && isMapped(idMap) {
		return wayIn{
			hint:     "start this container in the engine's own user namespace, since the socket's owners have no ids in this one",
			commands: []string{"docker run --userns=host …"},
			evidence: []string{idMap + " does not hold all ids"},
		}
	}
	return wayIn{
		hint:     "start this container with " + with,
		commands: []string{fmt.Sprintf("docker run %s %d …", flag, id)},
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

// isMember asks the user database, which may know of groups that this session
// does not have yet.
func isMember(name, group string) bool {
	account, err := user.Lookup(name)
	if err != nil {
		return false
	}
	groups, err := account.GroupIds()
	return err == nil && slices.Contains(groups, group)
}
