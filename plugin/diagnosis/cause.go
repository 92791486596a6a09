// Package diagnosis knows what can be wrong. Each cause has a file that is named
// after its id, with its title, its rule and what it explains away; its explanation
// lies beside it under the same name. [Explain] finds the causes of failed probes.
// A cause is reported only on evidence measured in the same run. The plugin and the
// agent use the package, so it must not import docker/cli.
package diagnosis

import (
	"cmp"
	"embed"
	"fmt"
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// definition is what a cause declares.
type definition struct {
	title    string   // a fact, in one line
	hint     string   // what to do, unless a rule has a better one
	commands []string // as the hint

	bySetting   bool            // addresses with the cause are not expected to work, and that is no fault where another one does
	explains    []report.Cause  // those that follow from it, or need no fix before it
	whenReached report.Severity // if another address works; info if empty
	shownBy     string          // the check of diagnose that fails with the cause; empty for none

	needs    func(*vantageCase) bool                        // whether what the rule needs was measured; nil for nothing
	rule     func(*vantageCase, evidence.Row) *report.Fault // none if the failure with the same name proves it
	second   bool                                           // the rule needs a second answer, and says more than what the failure names
	everyRow bool                                           // the rule is about all rows, and holds if there is none
	vantage  func(*vantageCase) *report.Fault               // a rule about the vantage, besides its rows
}

type cause struct {
	id    report.Cause
	level level
	definition
}

// defined are the causes, in no order.
var defined []cause

// define adds a cause and returns its id. Each cause's file calls it once, for a
// variable of the package. Inlined, it would add 30 KB to the agent.
//
//go:noinline
func define(id report.Cause, l level, d definition) report.Cause {
	defined = append(defined, cause{id, l, d})
	return id
}

// find returns the cause with an id; an empty one if there is none.
func find(id report.Cause) cause {
	i := slices.IndexFunc(defined, func(c cause) bool { return c.id == id })
	if i < 0 {
		return cause{}
	}
	return defined[i]
}

// because is a fault with a line of evidence. The definition of its cause has the rest.
func because(format string, args ...any) *report.Fault {
	return &report.Fault{Evidence: []string{fmt.Sprintf(format, args...)}}
}

// also adds a line of evidence.
func also(fault *report.Fault, format string, args ...any) {
	fault.Evidence = append(fault.Evidence, fmt.Sprintf(format, args...))
}

// suggest is what to do about a fault.
func suggest(fault *report.Fault, format string, args ...any) {
	fault.Hint = fmt.Sprintf(format, args...)
}

// command is a single command to copy; see [shell.Line].
func command(template string, values ...any) []string {
	return []string{shell.Line(template, values...)}
}

// complete adds to a fault what the definition has.
func (c cause) complete(fault *report.Fault) *report.Fault {
	if fault == nil {
		return nil
	}
	fault.Cause = c.id
	if fault.Hint == "" {
		fault.Hint = c.hint
	}
	if fault.Commands == nil {
		fault.Commands = c.commands
	}
	return fault
}

// Causes returns every cause, sorted by id.
func Causes() []report.Cause {
	ids := make([]report.Cause, len(defined))
	for i, c := range defined {
		ids[i] = c.id
	}
	slices.Sort(ids)
	return ids
}

// ListenersCheck is the check that lists the sockets that listen at a target.
const ListenersCheck = "listeners"

// ShownBy returns the causes with which a check of a target fails.
func ShownBy(check string) []report.Cause {
	var ids []report.Cause
	for _, c := range defined {
		if c.shownBy == check {
			ids = append(ids, c.id)
		}
	}
	return ids
}

// Title is a cause in one line, or "" for what is not a cause. The empty cause
// is that of a finding where the evidence does not decide.
func Title(id report.Cause) string {
	if id == "" {
		return "No address works, and what was measured does not decide why"
	}
	return find(id).title
}

//go:embed *.md
var explanations embed.FS

// Explanation is the text about a cause: what it means, under which error messages people
// meet it, how to recognize it, how to fix it. It is light Markdown that a terminal of 80
// columns shows as it is, or "" for what is not a cause.
func Explanation(id report.Cause) string {
	text, err := explanations.ReadFile(string(id) + ".md")
	if err != nil {
		return "" // a test ensures that every cause has one
	}
	return string(text)
}

// Finding is a fault as a part of a Report.
func Finding(f *report.Fault) report.Finding {
	finding := f.Finding()
	finding.Title = cmp.Or(f.Title, Title(f.Cause))
	return finding
}
