//go:build !linux

package main

import (
	"context"
	"errors"
)

func nginxFiles(context.Context) (string, error) {
	return "", errors.New("needs a machine with Debian's packages")
}
