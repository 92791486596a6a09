package report

import "github.com/nestprobe/docker-nestprobe/plugin/report/shell"

// Translate writes the commands of another process, which are for a POSIX shell, for the
// user's shell; see [shell.Translate].
func (r *Report) Translate() {
	translate(r.Findings, shell.User())
	for i := range r.Modes {
		translate(r.Modes[i].Findings, shell.User())
	}
}

// Translate writes the commands of another process for the user's shell.
func (f *Finding) Translate() { f.translate(shell.User()) }

func translate(findings []Finding, to shell.Shell) {
	for i := range findings {
		findings[i].translate(to)
	}
}

func (f *Finding) translate(to shell.Shell) {
	commands := make([]string, len(f.Commands))
	for i, command := range f.Commands {
		commands[i] = to.Translate(command)
	}
	f.Commands, f.Hint = shown(commands, f.Hint)
}
