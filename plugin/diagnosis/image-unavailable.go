package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/report"

var ImageUnavailable = define("image-unavailable", noLevel, definition{title: "The image is not available"})

// lacksImage is the fault of a node that does not have the image.
func (n Node) imageFault() *report.Fault {
	fault := because("node %s: %s", n.Name, n.ServerError)
	fault.Cause = ImageUnavailable
	fault.Hint = "load the image on the nodes that lack it, or create a docker context for each, through which nestprobe loads it"
	if n.NotLoaded != "" {
		also(fault, "node %s: the image could not be loaded through context %s: %s", n.Name, n.Context, n.NotLoaded)
	}
	to := n.Context
	if to == "" {
		to = n.Name
	}
	fault.Commands = []string{ // no pipe, which Windows PowerShell 5.1 corrupts
		"docker save -o image.tar " + n.Image,
		"docker --context " + to + " load -i image.tar",
	}
	return fault
}
