package enginetest

import (
	"context"
	"path/filepath"
	"runtime"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/internal/keep"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/internal/rootfs"
)

// CLIImage puts an image on the engine, unless it is there, that can be used like
// docker:cli, and returns its reference. It holds the machine's docker command, the
// CLI plugins with these paths, and [testserver], to send requests from inside. There
// is no shell. A container of it does nothing until it is stopped:
//
//	docker run -d --name job -v /var/run/docker.sock:/var/run/docker.sock nestprobe-cli:…
//	docker exec job docker version
//
// [testserver]: https://pkg.go.dev/github.com/nestprobe/docker-nestprobe/plugin/enginetest/testserver
func CLIImage(tb testing.TB, e *Engine, plugins ...string) string {
	tb.Helper()
	root, err := cliRoot(tb.Context(), plugins)
	if err != nil {
		tb.Fatalf("making the image of the docker command: %v", err)
	}
	archive, err := imageOf(root, "nestprobe-cli", cliConfig())
	if err != nil {
		tb.Fatalf("making the image of the docker command: %v", err)
	}
	return loadArchive(tb, e, archive)
}

func cliRoot(ctx context.Context, plugins []string) (*rootfs.FS, error) {
	docker, err := keep.LookPath("docker")
	if err != nil {
		return nil, err
	}
	server, err := testServer.build(ctx, runtime.GOARCH)
	if err != nil {
		return nil, err
	}
	root := rootfs.New("tmp", "root", "run")
	root.AddMachineLinks()
	root.AddLink("var/run", "/run")
	root.AddText("etc/passwd", "root:x:0:0:root:/root:/\n")
	root.AddText("etc/group", "root:x:0:\n")
	root.AddText("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
	if err := root.AddProgram(docker); err != nil {
		return nil, err
	}
	root.AddFile("usr/local/bin/testserver", server)
	for _, path := range plugins {
		root.AddFile("usr/local/lib/docker/cli-plugins/"+filepath.Base(path), path)
	}
	return root, nil
}

func cliConfig() ocispec.ImageConfig {
	return ocispec.ImageConfig{
		Entrypoint: []string{"/usr/local/bin/testserver"},
		Cmd:        []string{"--listen", "none"},
		Env:        []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Labels:     map[string]string{Label: "cli"},
	}
}
