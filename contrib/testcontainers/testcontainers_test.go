package nestprobe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	nestprobe "github.com/nestprobe/docker-nestprobe"
	glue "github.com/nestprobe/docker-nestprobe/contrib/testcontainers"
	"github.com/nestprobe/docker-nestprobe/plugin/engine/agentimage"
)

// The images of the tests, which are removed at the end: a server with a flag for each fault
// (plugin/enginetest/testserver), and the program of the page, which starts one.
var serverImage, programImage, program string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx := context.Background()
	// The reaper of testcontainers-go is an image to pull, which the tests do without.
	_ = os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
	folder, err := os.MkdirTemp("", "nestprobe-contrib")
	defer func() { _ = os.RemoveAll(folder) }()
	if err == nil {
		err = prepare(ctx, folder)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer removeImages(ctx)
	return m.Run()
}

// prepare builds the programs and loads the images.
func prepare(ctx context.Context, folder string) error {
	server := filepath.Join(folder, "testserver")
	if err := build(ctx, "../..", server, "./plugin/enginetest/testserver"); err != nil {
		return err
	}
	source := filepath.Join(folder, "main.go")
	page, err := os.ReadFile("../../docs/from-programs.md")
	if err != nil {
		return err
	}
	blocks := regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllSubmatch(page, -1)
	if len(blocks) != 2 {
		return fmt.Errorf("the page has %d Go programs", len(blocks))
	}
	if err := os.WriteFile(source, blocks[1][1], 0o600); err != nil {
		return err
	}
	program = filepath.Join(folder, "program")
	if err := build(ctx, ".", program, source); err != nil {
		return err
	}
	tag := filepath.Base(folder)
	serverImage, programImage = "nestprobe-contrib-server:"+tag, "nestprobe-contrib-program:"+tag
	return errors.Join(load(ctx, serverImage, server), load(ctx, programImage, program))
}

// build builds a static program, which runs in a container without files.
func build(ctx context.Context, folder, to, what string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", to, what)
	cmd.Dir, cmd.Env = folder, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", what, err, out)
	}
	return nil
}

func load(ctx context.Context, tag, path string) error {
	binary, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	archive := agentimage.Archive{
		Tag: tag, Binary: binary, BinaryName: filepath.Base(path), OS: "linux", Arch: runtime.GOARCH, ExposedPorts: []string{"8080/tcp"},
	}
	var tar bytes.Buffer
	if _, err := archive.WriteTo(&tar); err != nil {
		return err
	}
	api, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = api.Close() }()
	loaded, err := api.ImageLoad(ctx, &tar)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, loaded)
	return errors.Join(err, loaded.Close())
}

func removeImages(ctx context.Context) {
	api, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return
	}
	defer func() { _ = api.Close() }()
	for _, image := range []string{serverImage, programImage} {
		if _, err := api.ImageRemove(ctx, image, client.ImageRemoveOptions{Force: true}); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

// start starts a server with a strategy; the test removes it.
func start(t *testing.T, strategy *glue.Strategy, options ...testcontainers.ContainerCustomizer) (testcontainers.Container, error) {
	t.Helper()
	options = append([]testcontainers.ContainerCustomizer{testcontainers.WithExposedPorts("8080/tcp"), testcontainers.WithWaitStrategy(strategy)}, options...)
	server, err := testcontainers.Run(t.Context(), serverImage, options...)
	testcontainers.CleanupContainer(t, server)
	return server, err
}

// A server that takes a second to listen is reached, over TCP and over HTTP.
func TestForReachable(t *testing.T) {
	t.Parallel()
	for name, strategy := range map[string]*glue.Strategy{
		"tcp": glue.ForReachable("8080/tcp"), "http": glue.ForReachable("8080", nestprobe.WithPath("/")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, err := start(t, strategy, testcontainers.WithCmd("--listen-after", "1s"))
			assert.NilError(t, err)
			address, err := glue.Endpoint(t.Context(), server, "8080/tcp", nestprobe.WithPath("/"))
			assert.NilError(t, err)
			assert.Check(t, strings.Contains(address, ":"), address)
		})
	}
}

// Each fault ends with its cause.
func TestCause(t *testing.T) {
	t.Parallel()
	noNetwork := testcontainers.WithHostConfigModifier(func(host *container.HostConfig) { host.NetworkMode = "none" })
	for _, test := range []struct {
		cause  nestprobe.Cause
		server testcontainers.ContainerCustomizer
		text   string
	}{
		{nestprobe.ServerListensOnLoopback, testcontainers.WithCmd("--listen", "127.0.0.1:8080"), "have the server listen on 0.0.0.0"},
		{nestprobe.ServerListensElsewhere, testcontainers.WithCmd("--listen", ":9090"), "use the port that the server listens on (9090)"},
		{nestprobe.ServerNotReady, testcontainers.WithCmd("--listen", "none"), "nothing listens on port 8080"},
		{nestprobe.ServerExited, testcontainers.WithCmd("--listen", "none", "--exit-code", "3", "--exit-after", "1s", "--log", "no database"), "no database"},
		{nestprobe.ServerCloses, testcontainers.WithCmd("--closes"), "closed"},
		{nestprobe.NetworkNone, noNetwork, "--network none"},
	} {
		t.Run(string(test.cause), func(t *testing.T) {
			t.Parallel()
			_, err := start(t, glue.ForReachable("8080/tcp").WithStartupTimeout(6*time.Second), test.server)
			assert.Check(t, errors.Is(err, test.cause), "%v", err)
			assert.ErrorContains(t, err, test.text)
		})
	}
}

func TestPorts(t *testing.T) {
	t.Parallel()
	for port, text := range map[string]string{"53/udp": "UDP is not probed", "web": "not of the form 8080/tcp", "0/tcp": "not of the form", "1/sctp": "not of the form"} {
		_, err := start(t, glue.ForReachable(port))
		assert.ErrorContains(t, err, text)
	}
	assert.Equal(t, *glue.ForReachable("80").Timeout(), time.Minute)
	assert.Check(t, is.Contains(glue.ForReachable("80").String(), "80"))
}

// The program of the page finds the address, or the cause, on the host and in a container,
// from where nobody sees the sockets of the server.
func TestProgram(t *testing.T) {
	t.Parallel()
	host := []string{program}
	inside := []string{"docker", "run", "--rm", "-e", "TESTCONTAINERS_RYUK_DISABLED=true", "-v", "/var/run/docker.sock:/var/run/docker.sock", programImage}
	for name, test := range map[string]struct{ client, server []string }{
		"127.0.0.1:":                   {host, nil},
		":8080 <nil>":                  {inside, nil},
		"(server-exited)":              {inside, []string{"--exit-code", "3"}},
		"(server-listens-on-loopback)": {host, []string{"--listen", "127.0.0.1:8080"}},
		"(forwarder-accepts-alone)":    {inside, []string{"--listen", "127.0.0.1:8080"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := slices.Concat(test.client, []string{serverImage}, test.server)
			out, _ := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput() // what it prints says more than its status
			assert.Check(t, is.Contains(string(out), name))
		})
	}
}
