package endpoint

import (
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
	return []string{"ssh " + strings.Join(spec.Args(), " ") + " 'docker version'"}
}
