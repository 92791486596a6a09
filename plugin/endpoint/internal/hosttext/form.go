package hosttext

import (
	"fmt"
	"regexp"
	"strings"
)

// wrapped is a text with quotes, or a whole assignment. Files with environments, as
// docker run --env-file reads them, keep the quotes.
func wrapped(t text) *Problem {
	if inner := strings.Trim(t.whole, `"'`); inner != t.whole && inner != "" {
		return t.inner("has quotes, which no program removes there", inner)
	}
	if found := assignment.FindStringSubmatch(t.whole); found != nil {
		return t.inner("begins with the name of the variable", found[1])
	}
	if found := option.FindStringSubmatch(t.whole); found != nil {
		return t.inner("holds the option -H itself", found[1])
	}
	return nil
}

var (
	assignment = regexp.MustCompile(`^(?:export )?DOCKER_HOST=(.+)$`)
	option     = regexp.MustCompile(`^(?:-H|--host)[ =]+(\S+)`)
)

// twice is a text with two schemes.
func twice(t text) *Problem {
	if _, _, another := strings.Cut(t.rest, "://"); t.hasScheme && another {
		return t.inner(fmt.Sprintf("has another scheme after %s://", t.scheme), t.rest)
	}
	return nil
}

// unexpanded is a text with a placeholder or a variable that nothing has replaced, or the
// word that a program has for no value.
func unexpanded(t text) *Problem {
	if noValue[t.whole] {
		return &Problem{What: "is what a program writes for no value", Meant: []string{t.local()}, Sure: true}
	}
	found := placeholder.FindString(t.whole)
	if found == "" {
		return nil
	}
	problem := &Problem{What: fmt.Sprintf("holds %s, which nothing has replaced by a value", found), Sure: true}
	if (found == "$HOME" || found == "${HOME}") && t.Home != "" {
		problem.Meant = []string{strings.Replace(t.whole, found, t.Home, 1)}
	}
	return problem
}

var noValue = map[string]bool{"undefined": true, "null": true, "None": true}

var placeholder = regexp.MustCompile(`\$\{?\w+\}?|<[\w -]+>|\{\{.*?\}\}|%\w+%`)

func upperCase(t text) *Problem {
	if lower := strings.ToLower(t.scheme); t.hasScheme && lower != t.scheme {
		return t.inner("has its scheme in capitals", lower+"://"+t.rest)
	}
	return nil
}

// spaced is a text with a space where no path is.
func spaced(t text) *Problem {
	if t.scheme == "unix" || strings.HasPrefix(t.whole, "/") || !strings.ContainsAny(t.whole, " \t") {
		return nil
	}
	return t.inner("has a space in it", strings.Join(strings.Fields(t.whole), ""))
}

// windows is a pipe or a path of Windows. A pipe is npipe:////./pipe/NAME, since
// npipe:// stands before //./pipe/NAME.
func windows(t text) *Problem {
	if found := pipe.FindStringSubmatch(t.whole); found != nil {
		meant := "npipe:////./pipe/" + found[1]
		switch {
		case t.GOOS != "windows":
			return &Problem{What: "is a named pipe of Windows, which this system does not have", Meant: []string{t.local()}, Sure: true}
		case t.whole != meant:
			return &Problem{What: "is not how docker writes a named pipe", Meant: []string{meant}, Sure: true}
		}
		return nil
	}
	if drive.MatchString(t.whole) {
		return &Problem{What: "is a path of Windows, which leads to no engine", Meant: []string{t.local()}, Sure: true}
	}
	return nil
}

var (
	pipe  = regexp.MustCompile(`^(?:npipe:)?[\\/]*[.]?[\\/]*pipe[\\/]+(\w[\w.-]*)$`)
	drive = regexp.MustCompile(`^(?:unix:/*)?[A-Za-z]:[\\/]`)
)

// socketPath is the path of a socket, without a scheme.
func socketPath(t text) *Problem {
	switch {
	case t.hasScheme:
	case strings.HasPrefix(t.whole, "//"): // perhaps of an address
	case strings.HasPrefix(t.whole, "/"), strings.HasPrefix(t.whole, "./"), strings.HasPrefix(t.whole, "../"), strings.HasPrefix(t.whole, "~/"),
		strings.HasSuffix(t.whole, ".sock") && !strings.Contains(t.whole, ":") && !separated.MatchString(t.whole):
		return &Problem{What: "has no unix:// before the path of a socket", Meant: []string{t.socket(t.whole)}, Sure: true}
	}
	return nil
}

// separated matches a scheme that docker knows and what stands for "://" behind it. A
// number behind a single colon is the port of a host that is called so.
var separated = regexp.MustCompile(`^(unix|npipe|tcp|ssh|https?):?//?([^/].*)$|^(unix|tcp|ssh):([^/].*)$`)

// separator is a scheme without all of "://".
func separator(t text) *Problem {
	found := separated.FindStringSubmatch(t.whole)
	if t.hasScheme || found == nil || onlyPort.MatchString(found[4]) {
		return nil
	}
	scheme, rest := found[1]+found[3], found[2]+found[4]
	if scheme == "unix" {
		rest = "/" + rest
	}
	return t.inner(fmt.Sprintf("has no %s:// at its beginning", scheme), scheme+"://"+rest)
}

var onlyPort = regexp.MustCompile(`^\d+(/.*)?$`)

// withoutScheme is an address without a scheme. Docker takes it for one over TCP, but
// refuses it in a context.
func withoutScheme(t text) *Problem {
	address := strings.TrimPrefix(t.whole, "//")
	switch {
	case t.hasScheme || address == "":
		return nil
	case strings.Contains(address, "@"):
		user, host, _ := strings.Cut(address, "@")
		name, _, _ := strings.Cut(user, ":") // a password is of no use over ssh
		host, _, _ = strings.Cut(host, ":")  // as scp has it before a path
		return &Problem{What: "has no ssh:// before the user", Meant: []string{"ssh://" + name + "@" + host}, Sure: true}
	case t.Stored, address != t.whole:
		return t.inner("has no scheme such as tcp://", "tcp://"+address)
	}
	problem := &Problem{What: "has no scheme such as tcp:// or unix://"}
	if address == "localhost" || address == "127.0.0.1" {
		problem.Meant = []string{t.local()}
	}
	if host, _, path := strings.Cut(address, "/"); path {
		problem.Meant = append(problem.Meant, "tcp://"+host)
	}
	return problem
}
