//go:build unix

package reaper

import "syscall"

// detached are the attributes of a process that a closed terminal does not end, nor a signal to
// the group of this process.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
