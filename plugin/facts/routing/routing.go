// Package routing reads the interfaces, addresses and routes of this process's network
// namespace from the kernel. The kernel sends a list in parts, and reports if the list
// has changed meanwhile. Engines create and remove interfaces all the time, so such a
// list is requested again.
//
// It reads them only on Linux: elsewhere engines run in a VM, and this machine is not
// connected to their networks.
package routing
