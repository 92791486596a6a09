package shell

import "strings"

// Assignment is a variable and the value that it is to have.
type Assignment struct{ Name, Value string }

// Export is the command that gives variables of the user's shell their values. As with
// [Line], it is empty if it cannot be shown safely.
func Export(all ...Assignment) string { return User().Export(all...) }

// Add is the command that adds an entry to a variable of the user's shell that holds a
// list with commas, and that has a value already or not; as [Line].
func Add(name string, isSet bool, entry string) string { return User().Add(name, isSet, entry) }

// Unset is the command that unsets variables of the user's shell.
func Unset(names ...string) string { return User().Unset(names...) }

// Without is a program that the user's shell starts without some variables.
func Without(program string, variables ...string) Text { return User().Without(program, variables...) }

// Join is several command lines that the user is to run in this order, with an operator
// of a POSIX shell between them.
func Join(operator string, lines ...string) string { return User().Join(operator, lines...) }

// Export is the command that gives variables their values.
func (s Shell) Export(all ...Assignment) string {
	if s == POSIX {
		line := Text("export")
		for _, a := range all {
			line = Text(s.Line("%s "+a.Name+"=%s", line, a.Value))
		}
		return string(line)
	}
	lines := make([]string, len(all))
	for i, a := range all {
		if lines[i] = assign(a.Name, "", a.Value); lines[i] == "" {
			return ""
		}
	}
	return strings.Join(lines, "; ")
}

// Add is the command that adds an entry to a variable that holds a list.
func (s Shell) Add(name string, isSet bool, entry string) string {
	present := ""
	switch {
	case isSet && s == Windows:
		present = "$env:" + name + ","
	case isSet:
		present = "$" + name + ","
	}
	switch {
	case s == Windows:
		return assign(name, present, entry)
	case !Safe(entry):
		return ""
	case !strings.ContainsAny(entry, "\"$`\\!"): // what is not literal in double quotes
		return "export " + name + `="` + present + entry + `"`
	default:
		return s.Line(`export `+name+`="`+present+`"%s`, entry)
	}
}

// assign gives a variable of PowerShell a value that begins with a text of PowerShell.
func assign(name, start, value string) string {
	if !Safe(value) || strings.ContainsAny(value, noQuotes) {
		return ""
	}
	return "$env:" + name + ` = "` + start + value + `"`
}

// Unset is the command that unsets variables, some of which may not be set.
func (s Shell) Unset(names ...string) string {
	if s == POSIX {
		return "unset " + strings.Join(names, " ")
	}
	return "Remove-Item -ErrorAction Ignore Env:" + strings.Join(names, ", Env:")
}

// Without is a program that is started without some variables. PowerShell has no such
// thing, so the variables are unset for the commands that follow too.
func (s Shell) Without(program string, variables ...string) Text {
	switch {
	case len(variables) == 0:
		return Text(program)
	case s == POSIX:
		return Text("env -u " + strings.Join(variables, " -u ") + " " + program)
	default:
		return Text(s.Unset(variables...) + "; " + program)
	}
}

// Join is several command lines. PowerShell 5.1 has neither && nor ||, and cmd.exe no ;, so
// each command has a line of its own on Windows. It is empty if one of them is.
func (s Shell) Join(operator string, lines ...string) string {
	for _, line := range lines {
		if line == "" {
			return ""
		}
	}
	if s == Windows {
		operator = "\n"
	}
	return strings.Join(lines, operator)
}
