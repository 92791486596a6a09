// Package facts holds what is known of servers, networks, bindings, sockets and
// routes of this machine, and of the place where this process runs. It reads them from
// an engine's answers and from the kernel.
//
// The packages that start servers, choose addresses to try and explain failures call
// it. It must not know of causes, probes or commands, and it changes nothing: it only
// reads.
package facts
