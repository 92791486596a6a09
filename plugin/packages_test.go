//go:build linux

package plugin_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

var packagesFlag = flag.String("packages", "", "folder that `make packages` has made: test the packages in it")

// onePackage is the path of the package in the folder -packages whose name fits.
func onePackage(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(*packagesFlag, pattern))
	assert.NilError(t, err)
	assert.Assert(t, is.Len(found, 1), pattern)
	return found[0]
}

// rpmCPU is the name of this CPU in the packages of rpm and apk.
func rpmCPU() string {
	return map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
}

// debian is a container of a Debian that has the docker command and man.
type debian struct {
	t *testing.T
	e *enginetest.Engine
}

const debianName = "nestprobe-packages"

func startDebian(t *testing.T) debian {
	t.Helper()
	d := debian{t, enginetest.Get(t, enginetest.Linux)}
	root := enginetest.DebianFiles(t, "debian-for-packages", "trixie",
		"base-files", "coreutils", "dash", "diffutils", "dpkg", "docker-cli", "findutils", "grep", "libc-bin", "man-db", "rpm", "sed", "tar")
	folder, err := filepath.Abs(*packagesFlag)
	assert.NilError(t, err)
	t.Cleanup(func() {
		_ = exec.Command("docker", "rm", "-f", debianName).Run()
		_ = exec.Command("docker", "rmi", debianName).Run()
	})
	files := exec.CommandContext(t.Context(), "tar", "-C", root, "--owner=0", "--group=0", "--numeric-owner", "-c", ".")
	load := d.e.Command(t.Context(), "docker", "import", "-", debianName)
	load.Stdin, err = files.StdoutPipe()
	assert.NilError(t, err)
	assert.NilError(t, files.Start())
	out, err := load.CombinedOutput()
	assert.NilError(t, errors.Join(err, files.Wait()), "%s", out)
	out, err = d.e.Command(t.Context(), "docker", "run", "-d", "--name", debianName,
		"-v", d.e.Socket+":/var/run/docker.sock", "-v", folder+":/packages:ro", debianName, "sleep", "infinity").CombinedOutput()
	assert.NilError(t, err, "%s", out)
	d.run("printf 'root:x:0:0:root:/root:/bin/sh\nman:x:6:12::/var/cache/man:/bin/false\n' >/etc/passwd; touch /var/lib/dpkg/status")
	return d
}

// run runs a shell command in the container and returns its output.
func (d debian) run(script string) string {
	d.t.Helper()
	out, err := d.e.Command(d.t.Context(), "docker", "exec", debianName, "sh", "-ec", script).CombinedOutput()
	assert.NilError(d.t, err, "%s: %s", script, out)
	return string(out)
}

// files lists all files and folders of the container but those in which dpkg and rpm
// remember what was installed.
func (d debian) files() []string {
	d.t.Helper()
	list := d.run("find / -xdev -not -path '/var/lib/dpkg*' -not -path /var/log/dpkg.log -not -path '/var/lib/rpm*' -not -path '/root/.rpmdb*' -not -path '/proc*' -not -path '/sys*' -not -path '/dev*'")
	lines := strings.Split(list, "\n")
	slices.Sort(lines)
	return lines
}

// checkPlugin uses the installed plugin as a person does.
func (d debian) checkPlugin() {
	d.t.Helper()
	assert.Check(d.t, is.Contains(d.run("docker nestprobe version"), "\n Agent linux/"+runtime.GOARCH+":"))
	assert.Check(d.t, is.Contains(d.run("docker __complete nestprobe diagnose --expl"), "--explain"))
	page := d.run("MANPAGER=cat MAN_KEEP_FORMATTING= man docker-nestprobe-diagnose")
	assert.Check(d.t, is.Contains(page, "docker nestprobe diagnose [OPTIONS] [TARGET]"))
	assert.Check(d.t, is.Regexp(`^http://\S+\n$`, d.run("docker nestprobe run --quiet")))
}

// The package of each format is installed in a Debian, used, and removed again, and
// nothing of it is left. Of the formats of others, rpm is the only one whose tool Debian
// has.
func TestPackages(t *testing.T) {
	t.Parallel()
	if *packagesFlag == "" {
		t.Skip("only with -packages: make test-packages")
	}
	d := startDebian(t)
	before := d.files()

	d.run("dpkg --install /packages/" + filepath.Base(onePackage(t, "*_"+runtime.GOARCH+".deb")))
	d.checkPlugin()
	d.run("test -s /usr/share/doc/docker-nestprobe-plugin/THIRD-PARTY-NOTICES -a -s /usr/share/doc/docker-nestprobe-plugin/copyright")
	d.run("dpkg --verify docker-nestprobe-plugin")
	d.run("dpkg --purge docker-nestprobe-plugin")
	assert.DeepEqual(t, d.files(), before)

	rpm := "/packages/" + filepath.Base(onePackage(t, "*."+rpmCPU()+".rpm"))
	assert.Check(t, is.Contains(d.run("rpm --checksig "+rpm), "digests OK"))
	d.run("rpm --install " + rpm)
	d.checkPlugin()
	d.run("rpm --verify docker-nestprobe-plugin")
	d.run("rpm --erase docker-nestprobe-plugin")
	assert.DeepEqual(t, d.files(), before)
}

// A package for apk is two compressed tar archives, one after the other: the control
// files, which have the digest of the second, and the files.
func TestAPKIsWhole(t *testing.T) {
	t.Parallel()
	if *packagesFlag == "" {
		t.Skip("only with -packages: make test-packages")
	}
	content, err := os.ReadFile(onePackage(t, "*_"+rpmCPU()+".apk"))
	assert.NilError(t, err)
	in := bufio.NewReader(bytes.NewReader(content))
	control := readStream(t, in)
	rest, err := io.ReadAll(in)
	assert.NilError(t, err)
	sum := sha256.Sum256(rest)
	info := untar(t, control)[".PKGINFO"]
	assert.Check(t, is.Contains("\n"+info, "\npkgname = docker-nestprobe-plugin\n"))
	assert.Check(t, is.Contains(info, "\narch = "+rpmCPU()+"\n"))
	assert.Check(t, is.Contains(info, "\ndatahash = "+hex.EncodeToString(sum[:])+"\n"))
	files := untar(t, readStream(t, bufio.NewReader(bytes.NewReader(rest))))
	program, err := os.ReadFile(filepath.Join(*packagesFlag, "..", "docker-nestprobe-linux-"+runtime.GOARCH))
	assert.NilError(t, err)
	assert.Check(t, files["usr/libexec/docker/cli-plugins/docker-nestprobe"] == string(program))
	assert.Check(t, files["usr/share/man/man1/docker-nestprobe-run.1.gz"] != "")
	assert.Check(t, files["usr/share/licenses/docker-nestprobe-plugin/THIRD-PARTY-NOTICES"] != "")
}

// readStream unpacks one compressed stream and leaves what follows it.
func readStream(t *testing.T, in *bufio.Reader) []byte {
	t.Helper()
	stream, err := gzip.NewReader(in)
	assert.NilError(t, err)
	stream.Multistream(false)
	content, err := io.ReadAll(stream)
	assert.NilError(t, err)
	return content
}

// untar returns the contents of the files in an archive. The control archive of apk has
// no end.
func untar(t *testing.T, content []byte) map[string]string {
	t.Helper()
	files := map[string]string{}
	for archive := tar.NewReader(bytes.NewReader(content)); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		assert.NilError(t, err)
		text, err := io.ReadAll(archive)
		assert.NilError(t, err)
		files[header.Name] = string(text)
	}
}
