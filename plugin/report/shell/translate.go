package shell

import (
	"regexp"
	"strings"
)

// Translate is a command of another process, which writes for a POSIX shell, in the shell
// of this machine: the agents run in Linux containers. As with [Line], it is empty if it
// cannot be shown safely.
func Translate(line string) string { return User().Translate(line) }

// Translate is a command that was written for a POSIX shell. On Windows it is empty if it
// has expansions, such as $(id -u), or several commands.
func (s Shell) Translate(line string) string {
	if s == POSIX {
		return line
	}
	words, ok := split(line)
	if !ok || len(words) == 0 {
		return ""
	}
	switch words[0] {
	case "unset":
		return s.Unset(words[1:]...)
	case "export":
		return s.exportWords(words[1:])
	}
	for i, word := range words {
		// A word that is an option was one before: [Shell.Line] writes no value like that.
		if words[i], ok = quoteWindows(word); !ok {
			return ""
		}
	}
	return strings.Join(words, " ")
}

// exportWords is the command that gives variables their values, each as NAME=VALUE.
func (s Shell) exportWords(words []string) string {
	all := make([]Assignment, len(words))
	for i, word := range words {
		all[i].Name, all[i].Value, _ = strings.Cut(word, "=")
	}
	return s.Export(all...)
}

// wordPart matches a part of a word: bare characters that a POSIX shell takes as they are,
// or quotes without an expansion in them.
var wordPart = regexp.MustCompile("^(?:[^\\s'\"$`\\\\|&;<>()*?\\[#~!{}]+|'[^']*'|\"[^\"$`\\\\!]*\")")

// split divides a command into words, without their quotes. It returns false if a shell
// would do more with it.
func split(line string) (words []string, ok bool) {
	word, inWord := "", false
	for line != "" {
		if line[0] == ' ' {
			if inWord {
				words = append(words, word)
			}
			word, inWord, line = "", false, line[1:]
			continue
		}
		part := wordPart.FindString(line)
		if part == "" {
			return nil, false
		}
		word, inWord, line = word+unquote(part), true, line[len(part):]
	}
	if inWord {
		words = append(words, word)
	}
	return words, true
}

func unquote(part string) string {
	if part[0] == '\'' || part[0] == '"' {
		return part[1 : len(part)-1]
	}
	return part
}
