package shell

import (
	"regexp"
	"strings"
)

// plainValue matches values that need no quotes in a shell or an env file.
var plainValue = regexp.MustCompile(`^[0-9A-Za-z_@%+=:,./\[\]-]+$`)

// EnvValue writes the value of a variable so that a POSIX shell and docker compose's env
// files read the same. The env files of docker run have no quotes; a value that they would
// misread is not a plain one. It is false for a value that the two read differently.
func EnvValue(value string) (quoted string, ok bool) {
	switch {
	case plainValue.MatchString(value):
		return value, true
	case strings.ContainsAny(value, "'\\\r\n\x00"):
		return "", false
	default:
		return "'" + value + "'", true
	}
}
