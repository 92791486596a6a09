//go:build !windows

package process

import (
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// DescribeFile gives the mode and owner of a file.
func DescribeFile(path string) string {
	info, err := os.Lstat(path)
	if err != nil {
		return "file: " + err.Error()
	}
	text := fmt.Sprintf("file: %s, mode %s", path, info.Mode())
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return text
	}
	return fmt.Sprintf("%s, owner %s, group %s", text, named(int(owner.Uid), userName), named(int(owner.Gid), groupName))
}

// Identity gives the user and groups of this process.
func Identity() string {
	groups, _ := os.Getgroups() // none is what an error amounts to
	slices.Sort(groups)
	names := []string{named(os.Getegid(), groupName)}
	for _, id := range slices.Compact(groups) {
		if id != os.Getegid() {
			names = append(names, named(id, groupName))
		}
	}
	return fmt.Sprintf("process: uid %s, gids %s", named(os.Geteuid(), userName), strings.Join(names, ", "))
}

// named is an id with its name, if it has one.
func named(id int, name func(string) string) string {
	number := strconv.Itoa(id)
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
