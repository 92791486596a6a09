package main

import (
	"context"
	"errors"
	"os"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/internal/keep"
)

// nginxFiles is a folder with Debian's nginx and all that it depends on.
func nginxFiles(ctx context.Context) (string, error) {
	if os.Getuid() != 0 {
		return "", errors.New("needs root, to make a file system")
	}
	return keep.Debian(ctx, "nginx", "trixie", "nginx", "base-files")
}
