// Package routing reads the interfaces, addresses and routes of this process's
// network namespace from the kernel. The kernel lists them in parts, and says so
// when something changed between two; engines make and remove interfaces all the
// time, so such a list is asked for again.
//
// It reads on Linux alone: elsewhere engines run in a VM, and their networks are
// none of the machine's.
package routing
