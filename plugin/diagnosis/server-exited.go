package diagnosis

import (
	"cmp"
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var ServerExited = define("server-exited", noLevel, definition{title: "The server exited before it answered"})

// CommandEnded is the hint on a server that exits without an error.
const CommandEnded = "the command has ended: start the server in the foreground"

// WhileProbed returns the fault of a server that exited while it was probed, with what shows
// that. It was in the foreground.
func WhileProbed(exited *report.Fault, title, evidence string) *report.Fault {
	if exited.Cause != ServerExited {
		return exited
	}
	fault := *exited
	fault.Title = cmp.Or(title, fault.Title)
	fault.Evidence = slices.Insert(slices.Clone(fault.Evidence), min(1, len(fault.Evidence)), evidence)
	if fault.Hint == CommandEnded {
		fault.Hint = "the command ended while it was probed: if it serves one connection only, as nc without -k does, have it serve more"
	}
	return &fault
}
