package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/nestprobe/docker-nestprobe/plugin"
)

// writeManPages writes a page for each command, such as docker-nestprobe-run.1.gz.
func (r release) writeManPages(dir string) error {
	dockerCLI, err := command.NewDockerCli(command.WithCombinedStreams(io.Discard))
	if err != nil {
		return err
	}
	docker := &cobra.Command{Use: "docker"}
	nestprobe := plugin.New(plugin.Build{Version: r.version})(dockerCLI)
	docker.AddCommand(nestprobe) // its pages are named after the whole command
	for _, cmd := range append(nestprobe.Commands(), nestprobe) {
		if cmd.Hidden {
			continue
		}
		if err := r.writeManPage(dir, cmd); err != nil {
			return err
		}
	}
	return nil
}

func (r release) writeManPage(dir string, cmd *cobra.Command) error {
	cmd.DisableAutoGenTag, cmd.DisableFlagsInUseLine = true, true
	cmd.InitDefaultHelpFlag()
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
	header := &doc.GenManHeader{
		Title: strings.ToUpper(name), Section: "1", Date: &r.time,
		Source: "docker-nestprobe " + r.version, Manual: "Docker User Manuals",
	}
	var page bytes.Buffer
	if err := doc.GenMan(cmd, header, &page); err != nil {
		return err
	}
	compressed, err := compress(page.Bytes())
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+".1.gz"), compressed, 0o644) //nolint:gosec // for everyone to read
}

// compress returns data in the format of gzip, without a name and a time.
func compress(data []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
