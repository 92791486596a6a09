package plugin

import (
	"regexp"
	"strings"

	"github.com/spf13/pflag"

	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// removeServersCommand is the command that removes the servers of a Report, and
// their temporary network.
func removeServersCommand(docker string, rep *report.Report, request experiment.Request) string {
	if len(rep.Servers) == 0 {
		return ""
	}
	names := make([]string, len(rep.Servers))
	for i, server := range rep.Servers {
		names[i] = server.Name
	}
	remove := docker + " rm -f " + strings.Join(names, " ")
	if request.Connection.Temporary != nil {
		for _, n := range rep.Servers[0].Networks { // only the temporary one
			remove += " && " + docker + " network rm " + n.Name
		}
	}
	return remove
}

// endpointFlags are docker's own flags that choose an endpoint.
var endpointFlags = []string{"config", "context", "host", "tls", "tlsverify", "tlscacert", "tlscert", "tlskey"}

// dockerCommand returns docker with the flags that choose an endpoint, as they were
// given. It needs no variables, since the user's shell still has them.
func dockerCommand(flags *pflag.FlagSet) string {
	docker := "docker"
	for _, name := range endpointFlags {
		flag := flags.Lookup(name)
		switch {
		case flag == nil, !flag.Changed:
		case flag.Value.Type() == "bool":
			docker += " --" + name + "=" + flag.Value.String()
		case name == "host":
			docker += " -H " + shellWord(flag.Value.String())
		default:
			docker += " --" + name + " " + shellWord(flag.Value.String())
		}
	}
	return docker
}

// plainWord matches a word that needs no quotes in a shell.
var plainWord = regexp.MustCompile(`^[\w@%+=:,./-]+$`)

// shellWord quotes a word for a POSIX shell.
func shellWord(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
