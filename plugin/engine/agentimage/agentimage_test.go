package agentimage

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/engine/agentimage/agents"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// storeOf is a store with the given contents as agents.
func storeOf(amd64, arm64 string) store {
	return store{
		files: fstest.MapFS{
			"README.md":                   {Data: []byte("read me")},
			"nestprobe-agent-linux-amd64": {Data: []byte(amd64)},
			"nestprobe-agent-linux-arm64": {Data: []byte(arm64)},
		},
		repository: Repository,
		label:      Label,
	}
}

// archive is the image with its binary, as a load sends it.
func (s store) archive(arch string) (Archive, error) {
	image, err := s.describe("linux", arch)
	if err != nil {
		return Archive{}, err
	}
	return s.complete(image)
}

func TestReferenceDependsOnTheContent(t *testing.T) {
	t.Parallel()
	original := bytes.Repeat([]byte("0123456789"), 10_000)
	changed := func(at int) string {
		data := slices.Clone(original)
		data[at] ^= 1
		return string(data)
	}
	known := map[string]string{}
	for name, content := range map[string]string{
		"original":   string(original),
		"first byte": changed(0),
		"middle":     changed(len(original) / 2),
		"last byte":  changed(len(original) - 1),
		"shorter":    string(original[:len(original)-1]),
		"longer":     string(original) + "0",
		"tiny":       "tiny",
		"empty":      "",
	} {
		s := storeOf(content, "x")
		ref, err := s.reference("linux", "amd64")
		assert.NilError(t, err)
		assert.Assert(t, regexp.MustCompile(`^nestprobe-agent:[0-9a-f]{32}$`).MatchString(ref), ref)
		again, err := s.reference("linux", "amd64")
		assert.NilError(t, err)
		assert.Equal(t, ref, again)
		assert.Equal(t, known[ref], "", "%s has the same reference as another content", name)
		known[ref] = name
	}
}

// The configuration is a part of the content: the same binary for another CPU is
// another image.
func TestReferenceDependsOnThePlatform(t *testing.T) {
	t.Parallel()
	s := storeOf("same", "same")
	amd64, err := s.reference("linux", "amd64")
	assert.NilError(t, err)
	arm64, err := s.reference("linux", "arm64")
	assert.NilError(t, err)
	assert.Assert(t, amd64 != arm64)
}

func TestReferenceAcceptsEveryNameOfACPU(t *testing.T) {
	t.Parallel()
	s := storeOf("one", "two")
	for arch, want := range map[string]string{
		"amd64": "one", "x86_64": "one", "x86-64": "one", "AMD64": "one",
		"arm64": "two", "aarch64": "two",
	} {
		archive, err := s.archive(arch)
		assert.NilError(t, err, arch)
		assert.Equal(t, string(archive.Binary), want, arch)
	}
}

func TestAgentImageIsUnprivilegedAndLabelled(t *testing.T) {
	t.Parallel()
	archive, err := storeOf("one", "two").archive("x86_64")
	assert.NilError(t, err)
	assert.Equal(t, archive.User, "65534:65534")
	assert.Equal(t, archive.OS+"/"+archive.Arch, "linux/amd64")
	assert.DeepEqual(t, archive.ExposedPorts, []string{"4647/tcp"})
	assert.DeepEqual(t, archive.Labels, map[string]string{Label: archive.Tag[len(Repository)+1:]})
	assert.Equal(t, archive.BinaryName, "nestprobe-agent")
}

func TestUnsupportedPlatforms(t *testing.T) {
	t.Parallel()
	const hint = ": select another engine with --context, or name an IMAGE of that platform to start instead"
	for _, test := range []struct{ os, arch, want, evidence string }{
		{
			"windows", "amd64",
			"the engine runs Windows containers, and nestprobe's agent runs only in Linux containers (linux/amd64 and linux/arm64)" +
				": switch Docker Desktop to Linux containers, or select another engine with --context",
			"the engine runs containers of windows/amd64",
		},
		{
			"linux", "s390x",
			"the engine runs containers of linux/s390x, and nestprobe has agents only for linux/amd64 and linux/arm64" + hint,
			"the engine runs containers of linux/s390x",
		},
		{
			"linux", "armv7l",
			"the engine runs containers of linux/armv7l, and nestprobe has agents only for linux/amd64 and linux/arm64" + hint,
			"the engine runs containers of linux/armv7l",
		},
		{
			"freebsd", "x86_64",
			"the engine runs containers of freebsd/amd64, and nestprobe has agents only for linux/amd64 and linux/arm64" + hint,
			"the engine runs containers of freebsd/amd64",
		},
	} {
		_, err := storeOf("one", "two").reference(test.os, test.arch)
		assert.Error(t, err, test.want)
		var fault *report.Fault
		assert.Assert(t, errors.As(err, &fault), test.os)
		assert.Equal(t, fault.Cause, EngineOSUnsupported)
		assert.DeepEqual(t, fault.Evidence, []string{test.evidence, "there are agents for linux/amd64 and linux/arm64"})
		assert.Equal(t, len(fault.Commands) > 0, test.os == "windows", test.os)
	}
}

func TestBuiltWithoutAgents(t *testing.T) {
	t.Parallel()
	empty := store{files: fstest.MapFS{"README.md": {Data: []byte("read me")}}, repository: Repository, label: Label}
	_, err := empty.reference("linux", "amd64")
	assert.ErrorIs(t, err, ErrNoAgent)
	assert.ErrorContains(t, err, "make build")
	_, err = empty.reference("windows", "amd64") // for which `make build` has no agent
	assert.Assert(t, !errors.Is(err, ErrNoAgent))
	_, _, err = empty.ensure(t.Context(), nil, "linux", "amd64") // before any request to the engine
	assert.ErrorIs(t, err, ErrNoAgent)
}

// The digest that the build wrote spares the plugin from unpacking and hashing the agent at
// each start.
func TestReferenceByTheDigestOfTheBuild(t *testing.T) {
	t.Parallel()
	s := storeOf("one", "two")
	want, err := s.reference("linux", "amd64")
	assert.NilError(t, err)
	_, digest, _ := strings.Cut(want, ":")
	s.files = fstest.MapFS{"nestprobe-agent-linux-amd64.digest": {Data: []byte(digest + "\n")}}
	ref, err := s.reference("linux", "amd64")
	assert.NilError(t, err)
	assert.Equal(t, ref, want)
	_, err = s.archive("amd64")
	assert.ErrorIs(t, err, ErrNoAgent)
}

// Another plugin would take the image for the one that it needs.
func TestAgentWithAnotherDigestIsNotLoaded(t *testing.T) {
	t.Parallel()
	other, err := Digest([]byte("another"), "linux", "amd64")
	assert.NilError(t, err)
	s := storeOf("one", "two")
	s.files = fstest.MapFS{
		"nestprobe-agent-linux-amd64":        {Data: []byte("one")},
		"nestprobe-agent-linux-amd64.digest": {Data: []byte(other)},
	}
	fake := &fakeEngine{}
	_, _, err = s.ensure(t.Context(), fake, "linux", "amd64")
	assert.ErrorIs(t, err, errOtherAgent)
	assert.Equal(t, fake.loads, 0)
}

// After a change of this package, `make build` must write new digests.
func TestDigestsOfTheBuild(t *testing.T) {
	t.Parallel()
	for _, arch := range []string{"amd64", "arm64"} {
		image, err := newStore(agents.Files).describe("linux", arch)
		if errors.Is(err, ErrNoAgent) && testing.Short() {
			t.Skip("there are no agents yet: make build")
		}
		assert.NilError(t, err)
		_, err = newStore(agents.Files).complete(image)
		assert.NilError(t, err)
	}
}

// On a fresh clone the folder has only this file, and go:embed needs one.
func TestFolderIsEmbedded(t *testing.T) {
	t.Parallel()
	text, err := agents.Files.ReadFile("README.md")
	assert.NilError(t, err)
	assert.Assert(t, len(text) > 0)
	_, referenceErr := Reference(agents.Files, "linux", "amd64")
	_, _, ensureErr := newStore(agents.Files).ensure(t.Context(), nil, "solaris", "sparc")
	assert.Assert(t, referenceErr == nil || errors.Is(referenceErr, ErrNoAgent), "%v", referenceErr)
	assert.ErrorContains(t, ensureErr, "solaris/sparc")
}
