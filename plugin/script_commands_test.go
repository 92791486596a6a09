//go:build linux

package plugin_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"gotest.tools/v3/poll"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Words of scripts that run a command or check what one has printed.

// execute runs a command where the engine's clients are, so that `stdout` and `stderr`
// can look at its output. A command that begins with the word inside runs in a container.
func execute(ts *testscript.TestScript, args []string) error {
	args = expandInside(args)
	if netns := ts.Getenv("NETNS"); netns != "" {
		args = append([]string{"nsenter", "--net=" + netns, "--"}, args...)
	}
	err := ts.Exec(args[0], args[1:]...)
	checkSchema(ts, args)
	return err
}

// checkSchema checks that what a command has printed as JSON fits the published schema.
func checkSchema(ts *testscript.TestScript, args []string) {
	if err := checkPrinted(args, ts.ReadFile("stdout")); err != nil {
		ts.Fatalf("stdout does not fit the schema in docs: %v", err)
	}
}

// expandInside turns the word inside into the command that it stands for.
func expandInside(args []string) []string {
	if args[0] == "inside" {
		return append([]string{"docker", "exec"}, args[1:]...)
	}
	return args
}

// runAsClient runs a command where the engine's clients are: `client COMMAND`.
func runAsClient(ts *testscript.TestScript, neg bool, args []string) {
	err := execute(ts, args)
	if (err != nil) != neg {
		ts.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
}

// runInside runs a command in a running container, such as one of the image of `cli`:
// `inside [OPTIONS] CONTAINER COMMAND`, with the options of docker exec. To check its exit
// status: `exits STATUS inside [OPTIONS] CONTAINER COMMAND`.
func runInside(ts *testscript.TestScript, neg bool, args []string) {
	runAsClient(ts, neg, append([]string{"inside"}, args...))
}

// repeatUntilSuccess runs a command again until it succeeds, for at most a minute, such as
// one that needs an engine which starts: `eventually COMMAND`. It leaves the outputs that
// the script looks at as they are.
func repeatUntilSuccess(ts *testscript.TestScript, _ bool, args []string) {
	s, command := scriptOf(ts), expandInside(args)
	poll.WaitOn(pollLog{ts}, func(poll.LogT) poll.Result {
		out, err := s.engine.Command(s.Context(), command[0], command[1:]...).CombinedOutput()
		if err != nil {
			return poll.Continue("%v: %v: %s", args, err, out)
		}
		return poll.Success()
	}, poll.WithTimeout(time.Minute))
}

// pollLog fails a script whose condition does not come true.
type pollLog struct{ *testscript.TestScript }

// Log implements poll.LogT.
func (p pollLog) Log(args ...any) { p.Logf("%s", fmt.Sprint(args...)) }

// checkExitStatus does what client does, and checks the exit status:
// `exits STATUS COMMAND`.
func checkExitStatus(ts *testscript.TestScript, _ bool, args []string) {
	err := execute(ts, args[1:])
	status := 0
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		status, err = exit.ExitCode(), nil
	}
	ts.Check(err)
	if want := args[0]; strconv.Itoa(status) != want {
		ts.Fatalf("exit status %d, want %s", status, want)
	}
}

// removeContainers removes the containers that a file names: `remove FILE`.
func removeContainers(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(execute(ts, append([]string{"docker", "rm", "-f"}, strings.Fields(ts.ReadFile(args[0]))...)))
}

// runRemoveCommand runs the command that --keep has printed on stderr: `told`.
func runRemoveCommand(ts *testscript.TestScript, _ bool, _ []string) {
	command, ok := removeCommandIn(ts.ReadFile("stderr"))
	if !ok {
		ts.Fatalf("stderr has no command that removes what was kept")
	}
	ts.Check(execute(ts, []string{"sh", "-c", command}))
}

// requestFrom requests a path below the URL on the last line of stdout, from inside a
// container of the image of `cli`, and checks the status and the body:
// `answers CONTAINER PATH '200 foo'`. The outputs of the command before it stay those that
// the script looks at.
func requestFrom(ts *testscript.TestScript, _ bool, args []string) {
	s, name, want := scriptOf(ts), args[0], args[2]
	lines := strings.Split(strings.TrimSpace(ts.ReadFile("stdout")), "\n")
	url := lines[len(lines)-1] + args[1]
	request := s.engine.Command(s.Context(), "docker", "exec", name, "testserver", "--get", url, "--get-until", want)
	got, err := request.Output()
	if answer := strings.TrimSpace(string(got)); err != nil || answer != want {
		ts.Fatalf("%s in %s: %q, want %q: %v", url, name, answer, want, err)
	}
}

// checkLastLines checks the last lines of stdout: `last LINE...`.
func checkLastLines(ts *testscript.TestScript, _ bool, args []string) {
	want := strings.Join(args, "\n") + "\n"
	if got := ts.ReadFile("stdout"); !strings.HasSuffix("\n"+got, "\n"+want) {
		ts.Fatalf("stdout does not end with %q", want)
	}
}

// checkWidth checks that no line of stdout is wider: `width MAX`.
func checkWidth(ts *testscript.TestScript, _ bool, args []string) {
	limit, err := strconv.Atoi(args[0])
	ts.Check(err)
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > limit {
			ts.Fatalf("%d characters in a line: %s", n, line)
		}
	}
}

// checkCause looks for a finding in the JSON on stdout, and checks that nothing else
// is an error: `proves CAUSE SEVERITY`. The table in CONTRIBUTING is made of these
// lines; see [TestEveryCauseIsProven].
func checkCause(ts *testscript.TestScript, _ bool, args []string) {
	findings := readFindings(ts)
	scriptOf(ts).proven = findings
	found := false
	for _, f := range findings {
		switch {
		case string(f.Cause) == args[0] && string(f.Severity) == args[1]:
			found = true
		case f.Severity == report.SeverityError:
			ts.Fatalf("another error: %s: %q", f.Cause, f.Evidence)
		}
	}
	if !found {
		ts.Fatalf("%s is not reported as %s: %+v", args[0], args[1], findings)
	}
}

// followCommands runs the commands of a finding in the report that `proves` read last, as
// a user does who copies them: `follow CAUSE [WORD=TEXT]... [ARG]...`. TEXT takes the place
// of a WORD such as NETWORK, and the ARGs that of `...`, where a command is to be completed.
func followCommands(ts *testscript.TestScript, _ bool, args []string) {
	cause, args := report.Cause(args[0]), args[1:]
	var words []string
	for len(args) > 0 && placeholder.MatchString(args[0]) {
		word, text, _ := strings.Cut(args[0], "=")
		words, args = append(words, word, text), args[1:]
	}
	complete := strings.NewReplacer(append(words, "...", `"$@"`)...)
	commands := commandsOf(scriptOf(ts).proven, cause)
	if len(commands) == 0 {
		ts.Fatalf("%s has no commands", cause)
	}
	for _, command := range commands {
		ts.Check(execute(ts, append([]string{"sh", "-c", complete.Replace(command), "sh"}, args...)))
	}
}

// placeholder is an argument that completes a word of a command.
var placeholder = regexp.MustCompile(`^[A-Z]+=`)

// commandsOf returns the commands of the first finding with a cause.
func commandsOf(findings []report.Finding, cause report.Cause) []string {
	for _, f := range findings {
		if f.Cause == cause {
			return f.Commands
		}
	}
	return nil
}

// checkFixed checks that the server is reached, and that nothing is an error or a warning,
// after the hint of a cause was followed: `fixed CAUSE`. See [TestEveryCauseIsProven].
func checkFixed(ts *testscript.TestScript, _ bool, args []string) {
	ts.Logf("the hint of %s was followed", args[0])
	checkHealthy(ts, false, nil)
}

// checkQuiet checks that nothing was written on stderr, but for lines on slow calls: `quiet`.
func checkQuiet(ts *testscript.TestScript, _ bool, _ []string) {
	if lines := slowCall.ReplaceAllString(ts.ReadFile("stderr"), ""); lines != "" {
		ts.Fatalf("stderr is not empty: %q", lines)
	}
}

// checkHealthy checks that the server is reached, and that nothing is an error or a
// warning: `healthy`. An engine may be slow: the tests are what it is busy with.
func checkHealthy(ts *testscript.TestScript, _ bool, _ []string) {
	rep := readReport(ts)
	for _, f := range rep.Findings {
		slow := f.Severity == report.SeverityWarning && f.Cause == connection.EngineUnreachable
		if f.Severity != report.SeverityInfo && !slow {
			ts.Fatalf("%s %s: %q", f.Severity, f.Cause, f.Evidence)
		}
	}
	if !rep.OK || len(rep.Servers) > 0 && len(rep.Best) == 0 {
		ts.Fatalf("the server is not reached")
	}
}

func readReport(ts *testscript.TestScript) report.Report {
	var rep report.Report
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &rep))
	return rep
}

// compareRows connects to each address of the JSON on stdout from the same place, with
// the test server's program or image, and checks that the two agree: `compare`.
func compareRows(ts *testscript.TestScript, _ bool, _ []string) {
	rep := readReport(ts)
	rows := map[string][]report.Probe{}
	for _, p := range rep.Probes {
		rows[p.Vantage] = append(rows[p.Vantage], p)
	}
	for vantage, probes := range rows {
		outcomes := connectFrom(ts, vantage, probes)
		for _, p := range probes {
			if p.Identity == netprobe.IdentityMismatch {
				continue // such as another engine's container on this machine's localhost
			}
			if open := outcomes[p.Address] == "open"; open != p.OK {
				ts.Fatalf("from %s, %s is %q for a plain client, and reported as %v: %s", vantage, p.Address, outcomes[p.Address], p.OK, p.Detail)
			}
		}
	}
}

// connectFrom returns what happens to a plain connection to each address, by address.
func connectFrom(ts *testscript.TestScript, vantage string, probes []report.Probe) map[string]string {
	addresses := make([]string, len(probes))
	for i, p := range probes {
		addresses[i] = p.Address
	}
	network, named := strings.CutPrefix(vantage, "network:")
	command := []string{"docker", "run", "--rm", "--network", network, ts.Getenv("IMAGE")}
	switch {
	case vantage == "host":
		command = []string{enginetest.TestProgram(scriptOf(ts))}
	case !named:
		command[4] = vantage // container:NAME
	}
	ts.Check(execute(ts, append(command, "--connect", strings.Join(addresses, ","))))
	outcomes := map[string]string{}
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		address, outcome, _ := strings.Cut(strings.TrimSpace(line), " ")
		outcomes[address] = outcome
	}
	return outcomes
}

// checkNoErrors checks that no finding of the JSON on stdout is an error: `noerrors`.
func checkNoErrors(ts *testscript.TestScript, _ bool, _ []string) {
	for _, f := range readFindings(ts) {
		if f.Severity == report.SeverityError {
			ts.Fatalf("an error: %s: %q", f.Cause, f.Evidence)
		}
	}
}

// readFindings reads the findings of the JSON on stdout.
func readFindings(ts *testscript.TestScript) []report.Finding {
	return readReport(ts).Findings
}
