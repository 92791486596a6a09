package plugin_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

const module = "github.com/nestprobe/docker-nestprobe/"

// library is the package at the root of the module.
const library = "."

// layers are the packages of this module, from the top to the bottom. A package may
// import those of the layers below its own, and within its layer those that stand
// after it.
var layers = [][]string{
	{"cmd/docker-nestprobe", "cmd/nestprobe-agent", "plugin/engine/agentimage/pluginimage", "plugin/engine/agentimage/packagents", "packaging/release"},
	{"plugin"},
	{library},
	{"plugin/checks", "plugin/client", "plugin/target", "plugin/target/meaning", "plugin/swarm", "plugin/reaper", "plugin/diagnosis/lookup"},
	{"plugin/experiment", "plugin/experiment/probing", "plugin/experiment/candidates", "plugin/experiment/ranking"},
	{"plugin/engine", "plugin/engine/agentimage", "plugin/engine/agentimage/agents", "plugin/diagnosis", "plugin/diagnosis/evidence", "plugin/witness"},
	{"plugin/facts/self", "plugin/facts/proxy", "plugin/facts", "plugin/facts/listening", "plugin/facts/routing", "plugin/endpoint", "plugin/endpoint/connection", "plugin/endpoint/bounds", "plugin/endpoint/refusal", "plugin/endpoint/internal/hosttext", "plugin/endpoint/retrying", "plugin/endpoint/internal/process", "plugin/endpoint/internal/errno", "plugin/endpoint/internal/sentence"},
	{"plugin/report/render", "plugin/report/render/layout", "plugin/report", "plugin/report/shell"},
	{"netprobe"},
}

// Of these only test code may import anything, or be imported.
var forTests = []string{"plugin/enginetest", "docs"}

// rank is the place of a package in layers, the layer first.
func rank(t *testing.T, name string) (layer, place int) {
	t.Helper()
	for layer, packages := range layers {
		if place := slices.Index(packages, name); place >= 0 {
			return layer, place
		}
	}
	t.Fatalf("package %s is in no layer: add it to layers, and to the tree in CONTRIBUTING.md", name)
	return 0, 0
}

// nameOf is the folder of a package of this module.
func nameOf(importPath string) string {
	if importPath+"/" == module {
		return library
	}
	return strings.TrimPrefix(importPath, module)
}

func isForTests(name string) bool {
	return slices.ContainsFunc(forTests, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// listed are the packages of this module, as the go command has them.
func listed(t *testing.T, args ...string) []goPackage {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Imports,Deps"}, args...)...).Output()
	assert.NilError(t, err)
	var all []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

type goPackage struct {
	ImportPath    string
	Imports, Deps []string
}

// Imports run one way (see layers), for every package.
func TestImportsRunOneWay(t *testing.T) {
	t.Parallel()
	packages := listed(t, strings.TrimSuffix(module, "/")+"/...")
	assert.Assert(t, len(packages) > 20, "only %d packages listed", len(packages))
	for _, p := range packages {
		from := nameOf(p.ImportPath)
		if isForTests(from) {
			continue
		}
		layer, place := rank(t, from)
		for _, imported := range p.Imports {
			if !strings.HasPrefix(imported+"/", module) {
				continue
			}
			to := nameOf(imported)
			assert.Check(t, !isForTests(to), "%s imports %s, which is for tests", from, to)
			toLayer, toPlace := rank(t, to)
			assert.Check(t, toLayer > layer || toLayer == layer && toPlace > place, "%s imports %s, which is above it", from, to)
		}
	}
}

// netprobe imports nothing of Docker, and what runs in containers, or in the programs of
// others, nothing of the CLI.
func TestImportsOfDocker(t *testing.T) {
	t.Parallel()
	for name, forbidden := range map[string]string{
		library:               "github.com/docker/cli",
		"netprobe":            "github.com/docker/",
		"cmd/nestprobe-agent": "github.com/docker/cli",
	} {
		for _, p := range listed(t, path.Join(module, name)) {
			assert.Assert(t, len(p.Deps) > 20, "%s has only %d dependencies", name, len(p.Deps))
			for _, dependency := range p.Deps {
				assert.Check(t, !strings.HasPrefix(dependency, forbidden), "%s depends on %s", name, dependency)
			}
		}
	}
}
