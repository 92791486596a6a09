package report

import (
	"errors"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

func TestFault(t *testing.T) {
	cause := errors.New("it broke")
	fault := &Fault{Cause: "port-in-use", Err: cause, Hint: "choose another"}
	assert.Equal(t, fault.Error(), "it broke: choose another")
	assert.ErrorIs(t, fault, cause)
	assert.Equal(t, (&Fault{Cause: "port-in-use"}).Error(), "port-in-use")
}

// A finding may quote an engine, a registry or a server, and is printed on a terminal.
func TestFindingEscapesControlCharacters(t *testing.T) {
	const hostile = "EVIL\x1b[31m\x1b]0;pwned\x07\nforged: line"
	finding := (&Fault{
		Cause:    "image-unavailable",
		Evidence: []string{hostile, strings.Repeat("x", 1<<20)},
		Hint:     hostile,
		Commands: []string{"docker logs web", hostile, "docker logs 'a\x1b'", "", strings.Repeat("x", 1<<20)},
	}).Finding()
	for _, line := range append(append(finding.Evidence, finding.Hint), finding.Commands...) {
		assert.Check(t, !strings.ContainsAny(line, "\x1b\x07\n"), "%q", line)
		assert.Check(t, len(line) <= MaxLine)
	}
	assert.Equal(t, len(finding.Evidence), 2)
	assert.DeepEqual(t, finding.Commands, []string{"docker logs web"}) // an escaped one would be another command
	assert.Assert(t, strings.HasSuffix(finding.Hint, leftOut))
}

// A finding without commands has an empty list of them in JSON.
func TestFindingWithoutCommands(t *testing.T) {
	finding := (&Fault{Hint: "wait"}).Finding()
	assert.Assert(t, finding.Commands != nil && len(finding.Commands) == 0)
	assert.Equal(t, finding.Hint, "wait")
	finding = (&Fault{Commands: []string{""}}).Finding()
	assert.Assert(t, finding.Commands != nil && strings.HasPrefix(finding.Hint, "a command is left out"))
}
