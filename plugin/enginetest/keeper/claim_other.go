//go:build !linux

package main

import "os"

// claim has nothing to claim here: engines are started on Linux only.
func claim(string) (*os.File, error) { return nil, nil } //nolint:nilnil // a nil File can be closed

func claimPath() string { return "" }
