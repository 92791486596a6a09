package plugin

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/docker/cli/cli-plugins/hooks"
	"github.com/docker/cli/cli-plugins/manager"
	"github.com/spf13/cobra"
	"gotest.tools/v3/assert"
)

// Errors as docker run 28 reports them.
const (
	portTaken   = "docker: Error response from daemon: driver failed programming external connectivity on endpoint web (4f5e): Bind for 0.0.0.0:8080 failed: port is already allocated\n\nRun 'docker run --help' for more information"
	nameTaken   = `docker: Error response from daemon: Conflict. The container name "/web" is already in use by container "0123". You have to remove (or rename) that container to be able to reuse that name.`
	noEngine    = "docker: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
	noImage     = "docker: Error response from daemon: pull access denied for nosuch, repository does not exist or may require 'docker login': denied: requested access to the resource is denied"
	badImage    = "docker: invalid reference format"
	unsupported = "exec /app: exec format error"
)

// What the docker CLI prints after a command, by the command and its error.
func TestHookSuggestions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, args, err, want string }{
		{"detached and published", "-d -p 8080:80 --name web nginx", "", "Find out which address reaches this server → docker nestprobe diagnose web"},
		{"without a name", "-d -p 8080:80 nginx", "", "Find out which address reaches this server → docker nestprobe diagnose $(docker ps -lq)"},
		{"all ports", "-dP --name web nginx", "", "Find out which address reaches this server → docker nestprobe diagnose web"},
		{"of a context", "--context far -d -p 80 nginx", "", "Find out which address reaches this server → docker --context far nestprobe diagnose $(docker --context far ps -lq)"},
		{"detached only", "-d nginx", "", ""},
		{"not detached", "-p 80 nginx", "", ""},
		{"detach is false", "-d=false -p 80 nginx", "", ""},
		{"another endpoint", "-H tcp://far:2375 -d -p 80 nginx", "", ""},
		{"another configuration", "--config /tmp/dc -d -p 80 nginx", "", ""},
		{"port taken", "-d -p 8080:80 --name web nginx", portTaken, "Find out why the container did not start → docker nestprobe diagnose web"},
		{"port taken, removed", "-d --rm -p 8080:80 --name web nginx", portTaken, "The host port is already taken → docker nestprobe diagnose --explain port-in-use"},
		{"name taken", "--name web nginx", nameTaken, "The name is already taken → docker nestprobe diagnose --explain name-in-use"},
		{"no engine", "nginx", noEngine, "Find out why the engine cannot be reached → docker nestprobe diagnose"},
		{"no engine on loopback", "nginx", "docker: Cannot connect to the Docker daemon at tcp://127.0.0.1:2375. Is the docker daemon running?", "Find out why the engine cannot be reached → docker nestprobe diagnose"},
		{"no image", "nosuch", noImage, "The image is not available → docker nestprobe diagnose --explain image-unavailable"},
		{"another CPU", "app", unsupported, "The image is built for another platform → docker nestprobe diagnose --explain image-wrong-platform"},
		{"another error", "-d -p 80 ???", badImage, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			run := dockerRun(t, strings.Fields(test.args))
			lines, err := hooks.ParseTemplate(hookTemplate(t, run, test.err), run)
			assert.NilError(t, err)
			assert.Equal(t, strings.TrimRight(strings.Join(lines, "\n"), " "), test.want)
		})
	}
}

// dockerRun is docker run with those of its flags and of docker's that count here.
func dockerRun(t *testing.T, args []string) *cobra.Command {
	t.Helper()
	docker := &cobra.Command{Use: "docker", TraverseChildren: true}
	docker.Flags().String("config", "/home/me/.docker", "")
	docker.Flags().StringP("context", "c", "", "")
	docker.Flags().StringSliceP("host", "H", nil, "")
	run := &cobra.Command{Use: "run", Run: func(*cobra.Command, []string) {}}
	run.Flags().BoolP("detach", "d", false, "")
	run.Flags().String("name", "", "")
	run.Flags().StringSliceP("publish", "p", nil, "")
	run.Flags().BoolP("publish-all", "P", false, "")
	run.Flags().Bool("rm", false, "")
	docker.AddCommand(run)
	var global, own []string
	for i := 0; i < len(args); i++ { // docker's own flags come before the command
		if args[i] == "--context" || args[i] == "--config" || args[i] == "-H" {
			global = append(global, args[i], args[i+1])
			i++
			continue
		}
		own = append(own, args[i])
	}
	docker.SetArgs(append(append(global, "run"), own...))
	assert.NilError(t, docker.Execute())
	return run
}

// hookTemplate is what the plugin answers to the request that the docker CLI makes.
func hookTemplate(t *testing.T, run *cobra.Command, commandError string) string {
	t.Helper()
	data := manager.HookPluginData{RootCmd: "run", Flags: map[string]string{}, CommandError: commandError}
	for _, name := range []string{"detach", "name", "publish", "publish-all", "rm"} {
		if flag := run.Flag(name); flag.Changed && flag.Value.Type() == "bool" {
			data.Flags[name] = flag.Value.String()
		} else if flag.Changed {
			data.Flags[name] = ""
		}
	}
	request, err := json.Marshal(data)
	assert.NilError(t, err)
	var answer bytes.Buffer
	assert.NilError(t, answerHook(&answer, string(request)))
	var message hooks.HookMessage
	assert.NilError(t, json.Unmarshal(answer.Bytes(), &message))
	assert.Equal(t, int(message.Type), hooks.NextSteps)
	return message.Template
}

func TestHookRefusesWhatIsNoRequest(t *testing.T) {
	t.Parallel()
	assert.ErrorContains(t, answerHook(&bytes.Buffer{}, "run"), "this command is for the docker CLI")
}
