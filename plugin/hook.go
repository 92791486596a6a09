package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli-plugins/hooks"
	"github.com/docker/cli/cli-plugins/manager"
	"github.com/docker/cli/cli-plugins/metadata"
	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/lookup"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// newHookCommand returns the command that the docker CLI calls on a terminal after
// commands that the user's config.json names: it prints what to run next, in the format
// of docker/cli's package hooks. It sends no request to the engine.
func newHookCommand(dockerCLI command.Cli) *cobra.Command {
	return &cobra.Command{
		Use:              metadata.HookSubcommandName,
		Hidden:           true,
		Args:             cli.ExactArgs(1),
		PersistentPreRun: func(*cobra.Command, []string) {}, // or every docker run would wait for a look at the context
		RunE: func(_ *cobra.Command, args []string) error {
			return answerHook(dockerCLI.Out(), args[0])
		},
	}
}

// answerHook writes the message for a command, which is empty if there is nothing to
// suggest. The docker CLI ignores a hook that fails.
func answerHook(w io.Writer, request string) error {
	var done manager.HookPluginData
	if err := json.Unmarshal([]byte(request), &done); err != nil {
		return usageError(errors.New("this command is for the docker CLI: its argument is not the JSON of a hook"))
	}
	return json.NewEncoder(w).Encode(hooks.HookMessage{Type: hooks.NextSteps, Template: suggest(done)})
}

// suggest returns a template for the line that the docker CLI prints.
func suggest(done manager.HookPluginData) string {
	if done.CommandError != "" {
		return suggestAfterError(done)
	}
	_, published := done.Flags["publish"]
	if isSet(done, "detach") && (published || isSet(done, "publish-all")) {
		return suggestion("Find out which address reaches this server", "diagnose "+containerOf(done))
	}
	return "" // its output, or no server that others reach
}

// suggestAfterError picks the command by the cause that has the error message. Other
// errors have nothing to do with what nestprobe measures.
func suggestAfterError(done manager.HookPluginData) string {
	message := done.CommandError[:min(len(done.CommandError), maxMessage)]
	matches := lookup.WithMessage(message)
	if len(matches) == 0 {
		return ""
	}
	cause := matches[0].Cause
	switch {
	case isOfEndpoint(cause):
		return suggestion("Find out why the engine cannot be reached", diagnoseName)
	case isOfStart(cause) && !isSet(done, "rm"): // the container is there, and says what happened
		return suggestion("Find out why the container did not start", "diagnose "+containerOf(done))
	}
	return suggestion(diagnosis.Title(cause), "diagnose --explain "+string(cause))
}

// isOfEndpoint says whether diagnose without a TARGET measures a cause.
func isOfEndpoint(cause report.Cause) bool {
	return slices.Contains([]report.Cause{
		connection.APIForbidden, connection.APIVersionUnsupported, connection.ClockSkew, connection.ContextBroken,
		connection.DockerSocketMissing, connection.DockerSocketPerm, connection.EndpointIsLoopback,
		connection.EndpointMalformed, connection.EngineUnreachable, connection.HTTPProxyInterferes,
		connection.TLSCertPathMissing, connection.TLSClientCertRejected, connection.TLSExpired,
		connection.TLSHostnameMismatch, connection.TLSNotExpected, connection.TLSRequired, connection.TLSUntrusted,
	}, cause)
}

// isOfStart says whether the engine has created the container and could not start it.
func isOfStart(cause report.Cause) bool {
	return slices.Contains([]report.Cause{
		diagnosis.ContainerNotStarted, diagnosis.EngineFirewallBroken, diagnosis.PortInUse, diagnosis.PortReserved,
	}, cause)
}

// isSet reports whether a flag without a value is set.
func isSet(done manager.HookPluginData, flag string) bool { return done.Flags[flag] == "true" }

// onContext is the option for the context that the user has named for this command.
const onContext = `{{with flag .Root "context"}} --context {{.}}{{end}}`

// containerOf names the container of a docker run: by its name, or as the newest one. A
// hook does not learn the values of flags, but its template may use them.
func containerOf(done manager.HookPluginData) string {
	if _, named := done.Flags["name"]; named {
		return hooks.TemplateReplaceFlagValue("name")
	}
	return "$(docker" + onContext + " ps -lq)"
}

// suggestion is a line with a command to copy. It is empty if the command was given
// another endpoint or configuration than the user's own, which would have to be repeated
// with its certificates.
func suggestion(why, arguments string) string {
	return fmt.Sprintf(`{{if not (or (.Root.Flag "host").Changed (.Root.Flag "config").Changed)}}%s → docker%s %s %s{{end}}`,
		why, onContext, pluginName, arguments)
}
