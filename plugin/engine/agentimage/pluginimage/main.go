// Pluginimage writes the image of the plugin, from binaries of the plugin for Linux:
//
//	go run ./plugin/engine/agentimage/pluginimage -out dist/nestprobe-image dist/docker-nestprobe-linux-*
//
// For each binary it writes OUT-linux-ARCH.tar, which `docker load` takes on every
// engine, and for all of them OUT.oci.tar, an OCI image layout for several platforms, to
// be copied to a registry. The image is FROM scratch, with the plugin as its entry point
// and only file, so that it also gives other images the plugin:
//
//	COPY --from=nestprobe /docker-nestprobe /usr/local/lib/docker/cli-plugins/
//
// `make image` calls it. It needs no engine.
package main

import (
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nestprobe/docker-nestprobe/plugin/engine/agentimage"
)

func main() {
	tag := flag.String("tag", "nestprobe:latest", "`reference` of the image")
	version := flag.String("version", "dev", "version for the image's labels")
	out := flag.String("out", "nestprobe-image", "`path` of the archives, without an extension")
	flag.Parse()
	if err := write(*out, *tag, *version, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "pluginimage:", err)
		os.Exit(1)
	}
}

// write writes an archive for each binary, and one for all.
func write(out, tag, version string, binaries []string) error {
	if len(binaries) == 0 {
		return errors.New("name the binaries of the plugin")
	}
	index := make(agentimage.Index, len(binaries))
	for i, path := range binaries {
		archive, err := imageOf(path, tag, version)
		if err != nil {
			return err
		}
		if err := writeFile(out+"-"+archive.OS+"-"+archive.Arch+".tar", archive); err != nil {
			return err
		}
		index[i] = archive
	}
	return writeFile(out+".oci.tar", index)
}

// imageOf is the image with one binary of the plugin. The binary says which platform it
// was built for.
func imageOf(path, tag, version string) (agentimage.Archive, error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return agentimage.Archive{}, err
	}
	settings := map[string]string{}
	for _, setting := range info.Settings {
		settings[setting.Key] = setting.Value
	}
	arch, err := platformOf(settings)
	if err != nil {
		return agentimage.Archive{}, fmt.Errorf("%s: %w", path, err)
	}
	binary, err := os.ReadFile(path) //nolint:gosec // named by the caller
	if err != nil {
		return agentimage.Archive{}, err
	}
	return agentimage.Archive{
		Tag:        tag,
		Binary:     binary,
		BinaryName: "docker-nestprobe",
		OS:         "linux",
		Arch:       arch,
		Labels: map[string]string{
			ocispec.AnnotationTitle:    "nestprobe",
			ocispec.AnnotationSource:   "https://github.com/nestprobe/docker-nestprobe",
			ocispec.AnnotationLicenses: "Apache-2.0",
			ocispec.AnnotationVersion:  version,
		},
	}, nil
}

// platformOf returns the CPU of a binary that runs FROM scratch, by its build settings.
func platformOf(settings map[string]string) (arch string, err error) {
	if settings["GOOS"] != "linux" || settings["CGO_ENABLED"] != "0" {
		return "", errors.New("not a static program for Linux: build it with `make cross`")
	}
	return settings["GOARCH"], nil
}

func writeFile(path string, content io.WriterTo) error {
	file, err := os.Create(path) //nolint:gosec // named by the caller
	if err != nil {
		return err
	}
	_, err = content.WriteTo(file)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	fmt.Println("built", path)
	return nil
}
