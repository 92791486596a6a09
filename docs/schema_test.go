package docs

import (
	"bytes"
	"cmp"
	"encoding/json"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// published is where the schemas are published.
const published = "https://raw.githubusercontent.com/nestprobe/docker-nestprobe/main/docs/"

// The schemas of `--format json` are those of the Go types, with their comments as
// descriptions and their constants as the possible values. Whether they fit real documents
// is checked by TestDocumentsFitSchema and by all scripts, in the folder plugin.
func TestSchemas(t *testing.T) {
	t.Parallel()
	source := parseSource(t, "../plugin/report", "../netprobe")
	for _, document := range []struct {
		name, title, description string
		of                       reflect.Type
	}{
		{"report", "The report of docker nestprobe", "What `docker nestprobe COMMAND --format json` prints. A later version may add keys and values. " +
			"schemaVersion increases when a key changes its meaning or is removed.", reflect.TypeFor[report.Report]()},
		{"version", "The version of docker nestprobe", "What `docker nestprobe version --format json` prints. A later version may add keys.", reflect.TypeFor[report.Version]()},
		{"cause", "A cause of docker nestprobe", "A line of what `docker nestprobe diagnose --list --format json` prints, and `--explain`. A later version may add keys.", reflect.TypeFor[report.ListedCause]()},
	} {
		s := schemaMaker{source: source, defs: map[string]*jsonschema.Schema{}}
		root := s.ofStruct(t, document.of)
		root.Schema = "https://json-schema.org/draft/2020-12/schema"
		root.ID = published + document.name + ".schema.json"
		root.Title, root.Description = document.title, document.description
		root.Defs = s.defs
		if document.name == "report" {
			version := any(report.SchemaVersion)
			root.Properties["schemaVersion"].Const = &version
		}
		writeSchema(t, document.name+".schema.json", root)
	}
}

func writeSchema(t *testing.T, file string, root *jsonschema.Schema) {
	t.Helper()
	text := new(bytes.Buffer)
	encoder := json.NewEncoder(text)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	assert.NilError(t, encoder.Encode(root))
	isGenerated(t, file, text.String())
}

// schemaMaker makes the schemas of named types, each of them once.
type schemaMaker struct {
	source source
	defs   map[string]*jsonschema.Schema
}

// of is the schema of a field's type.
func (s *schemaMaker) of(t *testing.T, field reflect.Type) *jsonschema.Schema {
	t.Helper()
	switch {
	case field.Kind() == reflect.Pointer: // none in JSON if it is nil, by omitempty
		return s.of(t, field.Elem())
	case field.Kind() == reflect.Slice: // never null
		return &jsonschema.Schema{Type: "array", Items: s.of(t, field.Elem())}
	case field.PkgPath() == "": // such as string
		basic, err := jsonschema.ForType(field, nil)
		assert.NilError(t, err)
		return basic
	}
	name := field.Name()
	if s.defs[name] == nil {
		s.defs[name] = &jsonschema.Schema{} // the types have no cycles, but this ends one
		if field.Kind() == reflect.Struct {
			s.defs[name] = s.ofStruct(t, field)
		} else {
			s.defs[name] = s.ofValues(t, field)
		}
		s.defs[name].Description = s.source.comments[name]
	}
	return &jsonschema.Schema{Ref: "#/$defs/" + name}
}

// ofStruct is the schema of an object. It allows keys that a later version adds.
func (s *schemaMaker) ofStruct(t *testing.T, object reflect.Type) *jsonschema.Schema {
	t.Helper()
	schema := &jsonschema.Schema{Type: "object", Properties: map[string]*jsonschema.Schema{}}
	for _, field := range reflect.VisibleFields(object) {
		key, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if key == "-" {
			continue
		}
		assert.Assert(t, key != "" && field.IsExported(), "%s.%s has no key", object.Name(), field.Name)
		schema.Properties[key] = s.of(t, field.Type)
		schema.Properties[key].Description = s.source.comments[object.Name()+"."+field.Name]
		schema.PropertyOrder = append(schema.PropertyOrder, key)
		if options != "omitempty" {
			schema.Required = append(schema.Required, key)
		}
	}
	return schema
}

// mayBeEmpty are the types whose empty value has a meaning.
var mayBeEmpty = []string{"Cause", "Failure"}

// ofValues is the schema of a string that is one of a type's constants.
func (s *schemaMaker) ofValues(t *testing.T, named reflect.Type) *jsonschema.Schema {
	t.Helper()
	values := slices.Clone(s.source.values[named.Name()])
	if named == reflect.TypeFor[report.Cause]() {
		for _, cause := range diagnosis.Causes() {
			values = append(values, string(cause))
		}
	}
	assert.Assert(t, named.Kind() == reflect.String && len(values) > 0, "%s has no constants", named.Name())
	if slices.Contains(mayBeEmpty, named.Name()) {
		values = append(values, "")
	}
	return &jsonschema.Schema{Type: "string", Enum: values}
}

// source is what the source code says of types: the comments of "Type" and "Type.Field",
// and the values of the constants of a type.
type source struct {
	comments map[string]string
	values   map[string][]any
}

func parseSource(t *testing.T, folders ...string) source {
	t.Helper()
	s := source{map[string]string{}, map[string][]any{}}
	for _, folder := range folders {
		files, err := filepath.Glob(folder + "/*.go")
		assert.NilError(t, err)
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			content, err := os.ReadFile(name)
			assert.NilError(t, err)
			file, err := parser.ParseFile(token.NewFileSet(), name, content, parser.ParseComments)
			assert.NilError(t, err)
			for _, decl := range file.Decls {
				if group, ok := decl.(*ast.GenDecl); ok {
					s.add(t, group)
				}
			}
		}
	}
	return s
}

func (s *source) add(t *testing.T, group *ast.GenDecl) {
	t.Helper()
	for _, spec := range group.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			s.addType(spec, cmp.Or(sentence(spec.Doc), sentence(group.Doc)))
		case *ast.ValueSpec:
			s.addConstant(t, group.Tok, spec)
		}
	}
}

func (s *source) addType(spec *ast.TypeSpec, comment string) {
	name := spec.Name.Name
	s.comments[name] = comment
	object, ok := spec.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, field := range object.Fields.List {
		for _, ident := range field.Names {
			s.comments[name+"."+ident.Name] = cmp.Or(sentence(field.Doc), sentence(field.Comment))
		}
	}
}

func (s *source) addConstant(t *testing.T, keyword token.Token, spec *ast.ValueSpec) {
	t.Helper()
	named, ok := spec.Type.(*ast.Ident)
	if keyword != token.CONST || !ok || len(spec.Values) != 1 {
		return
	}
	literal, ok := spec.Values[0].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return
	}
	value, err := strconv.Unquote(literal.Value)
	assert.NilError(t, err)
	s.values[named.Name] = append(s.values[named.Name], value)
}

// sentence is a comment on one line, without Go's links.
func sentence(comment *ast.CommentGroup) string {
	parsed := new(doc.Package).Parser().Parse(comment.Text())
	text := strings.Join(strings.Fields(string(new(doc.Package).Printer().Text(parsed))), " ")
	return text
}
