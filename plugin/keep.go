package plugin

import (
	"github.com/spf13/pflag"

	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// removeServersCommand is the command that removes the servers of a Report, and
// their temporary network.
func removeServersCommand(docker shell.Text, rep *report.Report, request experiment.Request) string {
	if len(rep.Servers) == 0 {
		return ""
	}
	names := make([]string, len(rep.Servers))
	for i, server := range rep.Servers {
		names[i] = server.Name
	}
	remove := shell.Line("%s rm -f %s", docker, names)
	if request.Connection.Temporary != nil {
		for _, n := range rep.Servers[0].Networks { // only the temporary one
			remove = shell.Join(" && ", remove, shell.Line("%s network rm %s", docker, n.Name))
		}
	}
	return remove
}

// endpointFlags are docker's own flags that choose an endpoint.
var endpointFlags = []string{"config", "context", "host", "tls", "tlsverify", "tlscacert", "tlscert", "tlskey"}

// dockerCommand returns docker with the flags that choose an endpoint, as they were
// given. It needs no variables, since the user's shell still has them. It is empty if
// one of the flags cannot be shown safely.
func dockerCommand(flags *pflag.FlagSet) shell.Text {
	docker := shell.Text("docker")
	for _, name := range endpointFlags {
		flag := flags.Lookup(name)
		if flag == nil || !flag.Changed {
			continue
		}
		template := "%s --" + name + " %s"
		switch {
		case flag.Value.Type() == "bool":
			template = "%s --" + name + "=%s"
		case name == "host":
			template = "%s -H %s"
		}
		docker = shell.Text(shell.Line(template, docker, flag.Value.String()))
	}
	return docker
}
