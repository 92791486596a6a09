package enginetest

import (
	"runtime"
	"testing"

	"github.com/vishvananda/netns"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/internal/keep"
)

// NeedRoot skips a test if this user is not root, unless ENGINES=all.
func NeedRoot(tb testing.TB) {
	tb.Helper()
	if err := keep.CheckRoot(); err != nil {
		failOrSkip(tb, err)
	}
}

// OwnNetns puts the calling goroutine, and the processes that it starts, into a new network
// namespace, which ends with it. A user who is not root cannot make one: the test is skipped.
func OwnNetns(tb testing.TB) netns.NsHandle {
	tb.Helper()
	NeedRoot(tb)
	// The thread is never unlocked: it ends with the test's goroutine, and with it the
	// namespace.
	runtime.LockOSThread()
	namespace, err := netns.New()
	if err != nil {
		tb.Fatalf("making a network namespace: %v", err)
	}
	tb.Cleanup(func() { _ = namespace.Close() })
	return namespace
}
