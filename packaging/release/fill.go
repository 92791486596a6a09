package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// fillTemplates writes each template into a folder, without its extension .tmpl, with
// the version and the checksums of a release. sums is what sha256sum has written.
func (r release) fillTemplates(sums, dir string, templates []string) error {
	known, err := readSums(sums)
	if err != nil {
		return err
	}
	functions := template.FuncMap{
		"list": func(items ...string) []string { return items },
		"sha256": func(name string) (string, error) {
			if sum, ok := known[name]; ok {
				return sum, nil
			}
			return "", fmt.Errorf("%s has no checksum of %s", sums, name)
		},
	}
	for _, path := range templates {
		if err := r.fill(path, dir, functions); err != nil {
			return err
		}
	}
	return nil
}

func (r release) fill(path, dir string, functions template.FuncMap) error {
	parsed, err := template.New(filepath.Base(path)).Funcs(functions).ParseFiles(path)
	if err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(dir, strings.TrimSuffix(filepath.Base(path), ".tmpl"))) //nolint:gosec // named by the caller
	if err != nil {
		return err
	}
	return errors.Join(parsed.Execute(file, struct{ Version string }{r.version}), file.Close())
}

// readSums reads the checksums by the names of the files.
func readSums(path string) (map[string]string, error) {
	file, err := os.Open(path) //nolint:gosec // named by the caller
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // read only
	known := map[string]string{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) == 2 {
			known[fields[1]] = fields[0]
		}
	}
	return known, lines.Err()
}
