package plugin_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// commandStart matches the start of a command to copy. Prose about docker, such as
// "docker takes it for ", is none.
var commandStart = regexp.MustCompile(`^(sudo |env -u |export [A-Z%]|rm -|ssh -|newgrp |(docker|podman) (-|(run|rm|start|stop|restart|pause|unpause|kill|logs|top|update|exec|inspect|save|load|tag|pull|network|context|service|compose|container|image|volume|system|nestprobe)\b))`)

// unquoted returns the places of a file where a command is built without package shell: by
// Sprintf with a value, or by adding a value.
func unquoted(file *ast.File) []token.Pos {
	var found []token.Pos
	isCommand := func(e ast.Expr) bool {
		literal, ok := e.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			return false
		}
		text, err := strconv.Unquote(literal.Value)
		return err == nil && commandStart.MatchString(text)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			_, constant := n.Y.(*ast.BasicLit)
			if n.Op == token.ADD && isCommand(n.X) && !constant {
				found = append(found, n.Pos())
			}
		case *ast.CallExpr:
			called, ok := n.Fun.(*ast.SelectorExpr)
			if ok && strings.HasPrefix(called.Sel.Name, "Sprint") && len(n.Args) > 1 && isCommand(n.Args[0]) {
				found = append(found, n.Pos())
			}
		}
		return true
	})
	return found
}

// Commands to copy are written by package shell, which quotes names.
func TestCommandsAreQuoted(t *testing.T) {
	t.Parallel()
	files := token.NewFileSet()
	checked := 0
	assert.NilError(t, filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		path = filepath.ToSlash(path)
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (path == "../plugin/enginetest" || path == "../plugin/report/shell"):
			return fs.SkipDir
		case entry.IsDir(), !strings.HasSuffix(path, ".go"), strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		checked++
		for _, at := range unquoted(file) {
			t.Errorf("%s: write the command with shell.Line, which quotes its values", files.Position(at))
		}
		return nil
	}))
	assert.Assert(t, checked > 100, "only %d files", checked)
}

func TestUnquotedCommandsAreFound(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]int{
		`"docker logs " + name`:                           1,
		`fmt.Sprintf("docker network rm %s", name)`:       1,
		`"export A=" + value`:                             1,
		`"docker rm -f " + a + " " + b`:                   1,
		`shell.Line("docker logs %s", name)`:              0,
		`"docker takes it for " + host`:                   0,
		`fmt.Sprintf("docker cannot be found at %s", at)`: 0,
		`"docker logs " + "CONTAINER"`:                    0,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nvar _ = "+source, 0)
		assert.NilError(t, err)
		assert.Equal(t, len(unquoted(file)), want, source)
	}
}
