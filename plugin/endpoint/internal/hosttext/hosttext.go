// Package hosttext reads the text of an endpoint, such as the value of DOCKER_HOST, as a
// person does: [Read] finds what is wrong with it, and what was probably meant. The
// package endpoint calls it for a text that docker refuses, or that leads to no engine.
// It must not know of connections, and looks at nothing but the text and [Place].
package hosttext

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// Problem is what is wrong with a text.
type Problem struct {
	// What is the end of a sentence whose subject is the text.
	What string
	// Meant are the texts that were probably meant, the likeliest first; none if the text
	// does not say.
	Meant []string
	// TLS says that what was meant is an endpoint with TLS.
	TLS bool
	// Sure says that no engine can be reached by the text. A text without it may be
	// intended: docker accepts it, and only another text that works proves it wrong.
	Sure bool
}

// Place is where a text stands, and where it is used.
type Place struct {
	Stored bool   // in a context, whose host docker takes as it is
	GOOS   string // of this machine
	Home   string // the user's folder
	Dir    string // the current folder
	Exists func(path string) bool
}

// text is a text in its parts.
type text struct {
	whole        string
	scheme, rest string // before and after "://"; no scheme if that is missing
	hasScheme    bool
	Place
}

// rules in the order in which they are tried: what must be removed from a text comes
// before what the text says.
func rules() []func(text) *Problem {
	return []func(text) *Problem{
		wrapped, twice, unexpanded, upperCase, spaced,
		windows, socketPath, separator, withoutScheme,
		unixPath, tcpAddress, sshAddress, httpAddress, otherScheme,
	}
}

// Read returns what is wrong with a text, if anything is.
func Read(written string, place Place) (Problem, bool) {
	t := parse(written, place)
	for _, rule := range rules() {
		if problem := rule(t); problem != nil {
			problem.Meant = slices.DeleteFunc(problem.Meant, func(meant string) bool { return meant == "" })
			return *problem, true
		}
	}
	return Problem{}, false
}

func parse(written string, place Place) text {
	t := text{whole: strings.TrimSpace(written), Place: place}
	if t.scheme, t.rest, t.hasScheme = strings.Cut(t.whole, "://"); !t.hasScheme {
		t.scheme, t.rest = "", t.whole
	}
	return t
}

// inner is the problem of a text within which another text was meant. What is meant by that
// one is meant by both.
func (t text) inner(what, meant string) *Problem {
	problem := &Problem{What: what, Meant: []string{meant}, Sure: true}
	if within, wrong := Read(meant, t.Place); wrong {
		problem.TLS = within.TLS
		if within.Sure {
			problem.Meant = within.Meant
		}
	}
	return problem
}

// Redacted is a text, or a message that quotes one, without passwords.
func Redacted(written string) string { return password.ReplaceAllString(written, "$1:xxxxx@") }

// password matches what stands between a user and the last @ of a word. A password may hold
// any character; one that begins with a slash would be taken for the path of a socket.
var password = regexp.MustCompile(`((?:^|//|["'\s=])[^\s:/@"'=]*):[^\s/]\S*@`)

// DefaultSocket is where engines listen on most systems.
const DefaultSocket = "unix:///var/run/docker.sock"

// defaultPipe is where engines listen on Windows.
const defaultPipe = "npipe:////./pipe/docker_engine"

// local is the usual endpoint of the engine of this machine; empty if there is no sign
// of it.
func (t text) local() string {
	switch {
	case t.GOOS == "windows":
		return defaultPipe
	case t.exists(strings.TrimPrefix(DefaultSocket, "unix://")):
		return DefaultSocket
	default:
		return ""
	}
}

func (t text) exists(file string) bool { return t.Exists != nil && t.Exists(file) }

// socket is the endpoint of a socket's path, which may be relative.
func (t text) socket(file string) string {
	switch {
	case t.GOOS == "windows":
		return defaultPipe
	case strings.HasPrefix(file, "~/") && t.Home != "":
		return "unix://" + path.Join(t.Home, file[2:])
	case !strings.HasPrefix(file, "/"):
		return "unix://" + path.Join("/", t.Dir, file)
	default:
		return "unix://" + file
	}
}
