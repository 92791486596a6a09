package plugin_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"gotest.tools/v3/assert"
)

// The schemas of `--format json` that are published.
var (
	reportSchema  = sync.OnceValues(func() (*jsonschema.Resolved, error) { return publishedSchema("report") })
	versionSchema = sync.OnceValues(func() (*jsonschema.Resolved, error) { return publishedSchema("version") })
	causeSchema   = sync.OnceValues(func() (*jsonschema.Resolved, error) { return publishedSchema("cause") })
)

// publishedSchema reads a schema of the folder docs. It allows no key that it does not list.
func publishedSchema(name string) (*jsonschema.Resolved, error) {
	text, err := os.ReadFile("../docs/" + name + ".schema.json")
	if err != nil {
		return nil, err
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(text, &schema); err != nil {
		return nil, err
	}
	none := func() *jsonschema.Schema { return &jsonschema.Schema{Not: &jsonschema.Schema{}} }
	schema.AdditionalProperties = none()
	for _, object := range schema.Defs {
		if object.Type == "object" {
			object.AdditionalProperties = none()
		}
	}
	return schema.Resolve(nil)
}

// checkPrinted returns how what a command has printed differs from the published schema. Of
// causes it prints one document a line.
func checkPrinted(args []string, text string) error {
	schemaOf, lines := schemaOf(args)
	if schemaOf == nil || text == "" { // wrong usage prints nothing
		return nil
	}
	schema, err := schemaOf()
	if err != nil {
		return err
	}
	if !lines {
		return checkDocument(schema, text)
	}
	for line := range strings.Lines(text) {
		if err := checkDocument(schema, line); err != nil {
			return err
		}
	}
	return nil
}

func checkDocument(schema *jsonschema.Resolved, text string) error {
	var document any
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		return fmt.Errorf("not one JSON document: %w", err)
	}
	return schema.Validate(document)
}

// schemaOf is the schema of what a command prints, and whether that applies to each line; nil
// if it is not one of ours, or does not print JSON.
func schemaOf(args []string) (schema func() (*jsonschema.Resolved, error), lines bool) {
	format := slices.Contains(args, "--format=json")
	if i := slices.Index(args, "--format"); i >= 0 && i+1 < len(args) {
		format = args[i+1] == "json"
	}
	ours := slices.ContainsFunc(args, func(arg string) bool { return arg == "nestprobe" || filepath.Base(arg) == "docker-nestprobe" })
	has := func(word string) bool { return slices.Contains(args, word) }
	switch {
	case !format || !ours:
		return nil, false
	case has("--list"), has("--explain"):
		return causeSchema, true
	case has("version"):
		return versionSchema, false
	case has("run"), has("in-container"), has("diagnose"):
		return reportSchema, false
	default:
		return nil, false
	}
}

// The documents of the golden files fit the published schema. Those that commands print
// in scripts are checked where scripts run commands.
func TestDocumentsFitSchema(t *testing.T) {
	t.Parallel()
	schema, err := reportSchema()
	assert.NilError(t, err)
	files, err := filepath.Glob("report/render/testdata/json*.golden")
	assert.NilError(t, err)
	assert.Assert(t, len(files) > 0)
	for _, file := range files {
		text, err := os.ReadFile(file)
		assert.NilError(t, err)
		assert.Check(t, checkDocument(schema, string(text)), "%s", file)
	}
}

// A document that differs from the schema is found.
func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	schema, err := reportSchema()
	assert.NilError(t, err)
	text, err := os.ReadFile("report/render/testdata/json.golden")
	assert.NilError(t, err)
	for name, change := range map[string][2]string{
		"an unknown key":            {`"ok": true,`, `"ok": true, "fine": true,`},
		"an unknown key of a probe": {`"phase":`, `"more": 1, "phase":`},
		"a missing key":             {`"findings":`, `"found":`},
		"null for a list":           {`"checks": []`, `"checks": null`},
		"an unknown kind":           {`"published-localhost"`, `"somewhere"`},
		"another version":           {`"schemaVersion": 1`, `"schemaVersion": 2`},
		"two documents":             {`{`, `{} {`},
	} {
		changed := strings.Replace(string(text), change[0], change[1], 1)
		assert.Assert(t, changed != string(text), name)
		assert.Check(t, checkDocument(schema, changed) != nil, name)
	}
}
