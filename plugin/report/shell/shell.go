// Package shell writes commands that users copy into a shell. Whatever a container, a
// network, an image, a context or a file is called, the command has it as one word, and
// the shell runs nothing else. Every package that suggests a command uses it. It must not
// know what the commands do.
package shell

import (
	"fmt"
	"regexp"
	"runtime"
	"strings"

	"al.essio.dev/pkg/shellescape"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// Text is a part of a command that is written for a shell already, such as the docker
// command with the options that choose an endpoint.
type Text string

// Line is a command in the shell of this machine: POSIX, or PowerShell and cmd.exe on
// Windows; see [Line] of the type Shell.
func Line(template string, values ...any) string { return User().Line(template, values...) }

// Shell is how words are quoted.
type Shell int

// The shells of users.
const (
	// POSIX is any shell of the family, interactive or not. A word is in single quotes, in
	// which a shell expands nothing (POSIX.1-2024, Shell Command Language, 2.2.2), not
	// even the history.
	POSIX Shell = iota

	// Windows is both PowerShell and cmd.exe. A word is in double quotes, since cmd.exe
	// does not know single ones: it would run what follows an & in them. Where the two
	// differ, as for variables, the command is for PowerShell.
	//
	// In double quotes, PowerShell expands $ and `, and takes typographic quotes for plain
	// ones; cmd.exe expands % and perhaps !; Windows PowerShell 5.1 passes on neither an
	// empty word, nor a quote, nor a \ before the closing quote. No form of such a word
	// works in all of them, so there is no command with one.
	Windows
)

// User is the shell of the user of this machine.
func User() Shell {
	if runtime.GOOS == "windows" {
		return Windows
	}
	return POSIX
}

// Max bounds a command in the Report, in bytes, and every command on Windows: cmd.exe takes
// lines of 8191 characters.
const Max = 8191

// Line is a command. The template is words of the shell, separated by one space, some with
// a %s for a value. A value is a word or a part of one, and is quoted if it has to be; a
// slice of strings is as many words; a [Text] is written as it is. Placeholders for the
// reader, such as NETWORK and ..., stand in the template.
//
// It is empty if it cannot be shown safely: a value has characters that are invisible, do
// not fit in one line, or cannot be quoted in the shell; it is an option instead of a word;
// or the command is longer than the shell takes. A finding then says that a command is left
// out.
func (s Shell) Line(template string, values ...any) string {
	var words []string
	for word := range strings.SplitSeq(template, " ") {
		n := strings.Count(word, verb)
		if n > len(values) {
			panic("shell: " + template + " has not enough values")
		}
		written, ok := s.words(word, values[:n])
		if !ok {
			return ""
		}
		words, values = append(words, written...), values[n:]
	}
	if len(values) > 0 {
		panic("shell: " + template + " has too many values")
	}
	line := strings.Join(words, " ")
	if !Safe(line) || s == Windows && len(line) > Max {
		return ""
	}
	return line
}

// verb stands for a value.
const verb = "%s"

// words are one word of a template, with its values.
func (s Shell) words(word string, values []any) (written []string, ok bool) {
	if len(values) == 0 {
		return []string{word}, true
	}
	if word == verb {
		switch value := values[0].(type) {
		case Text:
			return []string{string(value)}, value != ""
		case []string:
			for _, v := range value {
				quoted, ok := s.word("", v)
				if !ok {
					return nil, false
				}
				written = append(written, quoted)
			}
			return written, true
		}
	}
	fixed, rest, _ := strings.Cut(word, verb)
	value := fmt.Sprint(values[0])
	for _, next := range values[1:] {
		between, after, _ := strings.Cut(rest, verb)
		value, rest = value+between+fmt.Sprint(next), after
	}
	quoted, ok := s.word(fixed, value+rest)
	return []string{quoted}, ok
}

// word quotes a word that begins with a fixed text. One that only begins with a value must
// not be an option.
func (s Shell) word(fixed, value string) (quoted string, ok bool) {
	if fixed == "" && strings.HasPrefix(value, "-") || !Safe(value) {
		return "", false
	}
	if s == Windows {
		return quoteWindows(fixed + value)
	}
	switch quoted = shellescape.Quote(value); {
	case fixed != "" && value == "":
		return fixed, true
	case fixed == "" && strings.HasPrefix(quoted, "="): // zsh puts the path of a program in its place
		return "'" + quoted + "'", true
	default:
		return fixed + quoted, true
	}
}

// Safe says whether a command, or a part of one, is shown as it is in every format of the
// Report. Otherwise what is seen and copied would be another command: escapes stand for
// characters that are invisible or end the line.
func Safe(text string) bool { return netprobe.Visible(text, len(text)) == text }

var (
	// plainWindows matches words that PowerShell and cmd.exe take as they are. To PowerShell,
	// a comma makes a list, and @ a variable.
	plainWindows = regexp.MustCompile(`^[\w./:\\=+-]+$`)

	// splitWindows matches those that Windows PowerShell 5.1 divides into two words.
	splitWindows = regexp.MustCompile(`^-.*[.:]`)
)

// noQuotes are the characters that no quotes protect in both, see [Windows].
const noQuotes = "\"$`%!" + "“”„" + "‘’‚‛"

func quoteWindows(word string) (quoted string, ok bool) {
	switch {
	case plainWindows.MatchString(word) && !splitWindows.MatchString(word):
		return word, true
	case word == "", strings.ContainsAny(word, noQuotes), strings.HasSuffix(word, `\`):
		return "", false
	default:
		return `"` + word + `"`, true
	}
}
