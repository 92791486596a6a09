package endpoint

import (
	"fmt"
	"strings"

	"github.com/docker/cli/cli/connhelper"
	"github.com/docker/cli/cli/connhelper/ssh"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
)

// sshDialer opens connections by running ssh, as the docker CLI does.
func sshDialer(host string) (connection.Option, error) {
	helper, err := connhelper.GetConnectionHelper(host)
	if err != nil {
		return nil, err
	}
	return connection.WithDialer(helper.Dialer, sshCommands(host)...), nil
}

// sshCommands are for the user to try, with the arguments quoted by docker/cli.
func sshCommands(host string) []string {
	spec, err := ssh.ParseURL(host)
	if err != nil {
		return nil
	}
	args := spec.Args("docker", "version")
	if len(args) == 0 {
		return nil
	}
	last := len(args) - 1
	return []string{fmt.Sprintf("ssh %s '%s'", strings.Join(args[:last], " "), args[last])}
}
