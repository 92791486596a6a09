package endpoint

import (
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/endpointtest"
)

// A command for a setting gives that setting another host.
func TestCommands(t *testing.T) {
	t.Parallel()
	files := t.TempDir()
	endpointtest.Write(t, filepath.Join(files, "ca.pem"), nil)
	const host = "tcp://[::1]:2376"
	for name, test := range map[string]struct {
		from origin
		tls  encryption
		want string
	}{
		"variable":            {origin{setting: "DOCKER_HOST"}, sameTLS, "export DOCKER_HOST='" + host + "'"},
		"variable, TLS on":    {origin{setting: "DOCKER_HOST"}, turnOnTLS, "export DOCKER_HOST='" + host + "' DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=FOLDER"},
		"variable, TLS off":   {origin{setting: "DOCKER_HOST"}, turnOffTLS, "unset DOCKER_TLS_VERIFY DOCKER_TLS;export DOCKER_HOST='" + host + "'"},
		"flag":                {origin{setting: "-H"}, sameTLS, "docker -H '" + host + "' version"},
		"flag, TLS on":        {origin{setting: "-H"}, turnOnTLS, "export DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=FOLDER;docker -H '" + host + "' version"},
		"flag, TLS off":       {origin{setting: "-H"}, turnOffTLS, "unset DOCKER_TLS_VERIFY DOCKER_TLS;docker -H '" + host + "' version"},
		"context":             {origin{context: "it's", tlsFiles: "/nowhere"}, sameTLS, `docker context update 'it'"'"'s' --docker 'host=` + host + "'"},
		"context, TLS files":  {origin{context: "x", tlsFiles: files}, sameTLS, "docker context update x --docker 'host=" + host + ",ca=" + files + "/ca.pem'"},
		"context, TLS off":    {origin{context: "x", tlsFiles: files}, turnOffTLS, "docker context update x --docker 'host=" + host + "'"},
		"context, TLS on":     {origin{context: "x", tlsFiles: files}, turnOnTLS, "docker context update x --docker 'host=" + host + ",ca=FOLDER/ca.pem,cert=FOLDER/cert.pem,key=FOLDER/key.pem'"},
		"context, unverified": {origin{context: "x", noVerify: true}, sameTLS, "docker context update x --docker 'host=" + host + ",skip-tls-verify=true'"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, strings.Join(test.from.commands(host, test.tls), ";"), test.want)
		})
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"default", "desktop-linux", "build", "build2"}
	for name, want := range map[string]string{
		"Desktop_Linux": "desktop-linux", "desktop": "desktop-linux", "desktop-linux2": "desktop-linux",
		"build": "", "other": "", "defaults": "",
	} {
		assert.Equal(t, nearest(name, known), want, name)
	}
}
