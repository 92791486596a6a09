package reaper

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// detached are the attributes of a process that a closed console does not end, nor Ctrl-C there.
func detached() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: windows.DETACHED_PROCESS | windows.CREATE_NEW_PROCESS_GROUP}
}
