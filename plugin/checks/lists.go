package checks

import (
	"fmt"
	"regexp"
	"strings"
)

// maxLines limits a list in a result: what fits on a screen.
const maxLines = 20

// firstLines shortens a long list, and adds how many lines are missing.
func firstLines(lines []string) []string {
	if len(lines) <= maxLines {
		return lines
	}
	return append(lines[:maxLines:maxLines], fmt.Sprintf("and %d more", len(lines)-maxLines))
}

// commandOn returns a command to copy, on the objects with these names; none
// without a name. A name that is invalid on Docker is left out, so that nothing
// harmful gets into a shell.
func commandOn(command string, names []string) []string {
	var valid []string
	for _, name := range names {
		if validName.MatchString(name) && len(valid) < maxLines {
			valid = append(valid, name)
		}
	}
	if len(valid) == 0 {
		return nil
	}
	return []string{command + " " + strings.Join(valid, " ")}
}

// validName matches the names of containers and networks on Docker (moby,
// daemon/names).
var validName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]+$`)
