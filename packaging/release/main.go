// Release makes the parts of a release that are neither programs nor packages:
//
//	release man DIR                      man pages of the commands, compressed
//	release notices FILE                 licenses of the modules in the programs
//	release archives DIR FILE...         an archive for each platform's program
//	release fill SUMS DIR TEMPLATE...    manifests for Homebrew and Scoop
//
// `make packages` and `make release` call it, in the root of the repository. The
// variables VERSION and SOURCE_DATE_EPOCH, which is the time of every file in seconds
// since 1970, are required: the same sources give the same bytes.
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("usage: release man DIR | notices FILE | archives DIR FILE... | fill SUMS DIR TEMPLATE")

func run(args []string) error {
	if len(args) < 2 {
		return errUsage
	}
	r, err := newRelease(os.Getenv("VERSION"), os.Getenv("SOURCE_DATE_EPOCH"))
	if err != nil {
		return err
	}
	switch verb, rest := args[0], args[1:]; {
	case verb == "man":
		return r.writeManPages(rest[0])
	case verb == "notices":
		return r.writeNotices(rest[0])
	case verb == "archives" && len(rest) > 1:
		return r.writeArchives(rest[0], rest[1:])
	case verb == "fill" && len(rest) > 2:
		return r.fillTemplates(rest[0], rest[1], rest[2:])
	}
	return errUsage
}

// release is what all parts of one release have in common.
type release struct {
	version string    // without a leading v, as packages have it
	time    time.Time // of every file
}

func newRelease(version, epoch string) (release, error) {
	if version == "" {
		return release{}, errors.New("VERSION is not set")
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return release{}, fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	return release{version: strings.TrimPrefix(version, "v"), time: time.Unix(seconds, 0).UTC()}, nil
}
