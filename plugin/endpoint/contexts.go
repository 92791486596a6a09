package endpoint

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/config"
	"github.com/opencontainers/go-digest"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Context is one of the user's contexts.
type Context struct {
	Name  string
	Fault *report.Fault // if its name is not known, why; Name is then a part of its path
}

// Contexts lists the user's contexts, the default and the current one included, sorted by
// name. Docker's own list fails if one of them is damaged, or if the default one cannot be
// resolved.
func Contexts(cli command.Cli) []Context {
	found := map[string]Context{command.DefaultContextName: {Name: command.DefaultContextName}}
	if current := cli.CurrentContext(); current != "" {
		found[current] = Context{Name: current} // it may not exist
	}
	root := metadataFolder()
	_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil && path != root:
			c := unreadable(path, err)
			found[c.Name] = c
		case err == nil && entry.Name() == metadataFile:
			c := contextAt(cli, path)
			found[c.Name] = c
		}
		return nil // a folder that cannot be read hides no other
	})
	list := make([]Context, 0, len(found))
	for _, c := range found {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Context) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// metadataFile and metadataFolder are where docker keeps contexts (docker/cli,
// context/store, metadataStore).
const metadataFile = "meta.json"

func metadataFolder() string { return filepath.Join(config.ContextStoreDir(), "meta") }

// contextAt is the context of a file. The folder's name is the digest of the context's.
func contextAt(cli command.Cli, file string) Context {
	data, err := os.ReadFile(file) //nolint:gosec // of docker's configuration
	var meta struct{ Name string }
	if err == nil {
		err = json.Unmarshal(data, &meta)
	}
	if err == nil && meta.Name != "" {
		return Context{Name: meta.Name}
	}
	id := filepath.Base(filepath.Dir(file))
	candidates := []string{cli.CurrentContext(), os.Getenv(command.EnvOverrideContext), cli.ConfigFile().CurrentContext}
	for _, match := range nameField.FindAllSubmatch(data, -1) {
		candidates = append(candidates, string(match[1]))
	}
	for _, name := range candidates {
		if digest.FromString(name).Encoded() == id {
			return Context{Name: name}
		}
	}
	return unreadable(file, err)
}

// nameField matches the name in a damaged file, which begins with it.
var nameField = regexp.MustCompile(`"Name":\s*"([^"\\]+)"`)
