//go:build linux

package plugin_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/creack/pty"
	"github.com/rogpeppe/go-internal/testscript"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/render"
)

// checkTranscript runs the commands of a transcript of README or a page in docs, and
// checks that they print what the page shows: `transcript NAME [WORD=TEXT]...`. TEXT takes
// the place of WORD in its commands. A command prints as on a terminal of 100 columns
// without colors.
func checkTranscript(ts *testscript.TestScript, _ bool, args []string) {
	shown, err := findTranscript(args[0])
	ts.Check(err)
	var replaced []string
	for _, arg := range args[1:] {
		word, text, _ := strings.Cut(arg, "=")
		replaced = append(replaced, word, text)
	}
	printed, err := repeatTranscript(ts, shown.block(), strings.NewReplacer(replaced...))
	ts.Check(err)
	ts.Check(shown.compare(printed))
}

// checkShown checks that a page shows what a command with this report prints.
func checkShown(t *testing.T, name, command string, rep *report.Report) {
	t.Helper()
	shown, err := findTranscript(name)
	assert.NilError(t, err)
	renderer, err := render.New(render.Options{})
	assert.NilError(t, err)
	printed := new(strings.Builder)
	assert.NilError(t, renderer.Write(printed, rep))
	assert.Check(t, shown.compare("$ "+command+"\n"+printed.String()))
}

// transcript is the block of code after the comment `<!-- transcript NAME -->` in a page.
type transcript struct {
	file       string
	text       []byte
	begin, end int // of the block, without its fences
}

func (p *transcript) block() string { return string(p.text[p.begin:p.end]) }

// compare checks that the page shows what was printed. Ports, addresses, times, and the
// widths of columns may differ. A line `...` stands for any number of lines. With golden's
// flag -update a transcript that differs is written again.
func (p *transcript) compare(printed string) error {
	printed = strings.TrimRight(printed, "\n") + "\n"
	switch shown := p.block(); {
	case transcriptPattern(shown).MatchString(stable(printed)):
		return nil
	case golden.FlagUpdate():
		return p.replace(printed)
	default:
		return fmt.Errorf("%s shows\n%s\nand this was printed:\n%s", p.file, shown, printed)
	}
}

func (p *transcript) replace(block string) error {
	return os.WriteFile(p.file, slices.Concat(p.text[:p.begin], []byte(block), p.text[p.end:]), 0o644)
}

func findTranscript(name string) (*transcript, error) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		return nil, err
	}
	marker := []byte("<!-- transcript " + name + " -->\n```console\n")
	for _, file := range append(pages, "../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if i := bytes.Index(text, marker); i >= 0 {
			begin := i + len(marker)
			return &transcript{file, text, begin, begin + bytes.Index(text[begin:], []byte("```"))}, nil
		}
	}
	return nil, fmt.Errorf("no page has a transcript %s", name)
}

// repeatTranscript runs the commands of a transcript, the lines that begin with "$ ", and
// returns the transcript with what they print. In a command, $? is the status of the one
// before it.
func repeatTranscript(ts *testscript.TestScript, shown string, replaced *strings.Replacer) (string, error) {
	var out strings.Builder
	status := 0
	for line := range strings.Lines(shown) {
		command, ok := strings.CutPrefix(line, "$ ")
		if !ok {
			continue
		}
		out.WriteString(line)
		command = strings.ReplaceAll(replaced.Replace(command), "$?", strconv.Itoa(status))
		printed, exit, err := runOnTerminal(ts, command)
		if err != nil {
			return "", err
		}
		status = exit
		out.WriteString(nameOfScript.ReplaceAllString(printed, ""))
	}
	return out.String(), nil
}

// nameOfScript begins the names of what a script of docs/containers.md makes. The page
// leaves it out.
var nameOfScript = regexp.MustCompile(`\bnestprobe-recipes-`)

// runOnTerminal runs a command of a shell with its stdout on a terminal, and returns what
// it prints, stderr last, and its exit status.
func runOnTerminal(ts *testscript.TestScript, command string) (string, int, error) {
	terminal, stdout, err := pty.Open()
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = terminal.Close() }()
	if err := pty.Setsize(terminal, &pty.Winsize{Rows: 50, Cols: 100}); err != nil {
		return "", 0, err
	}
	cmd := scriptOf(ts).engine.Command(scriptOf(ts).Context(), "sh", "-c", command)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"HOME", "DOCKER_CONFIG", "DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "SOCKET"} {
		if value := ts.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	cmd.Env = append(cmd.Env, "TERM=xterm", "NO_COLOR=1")
	stderr := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	printed := make(chan string)
	go func() { // ends with the last process on the terminal, since the test closes its own end
		text, _ := io.ReadAll(terminal) // with EIO
		printed <- strings.ReplaceAll(string(text), "\r\n", "\n")
	}()
	err = cmd.Run()
	_ = stdout.Close()
	text := strings.TrimRight(<-printed, "\n") + "\n" + stderr.String()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return text, exit.ExitCode(), nil
	}
	return text, 0, err
}

// transcriptPattern matches the stable parts of a transcript.
func transcriptPattern(shown string) *regexp.Regexp {
	pattern := regexp.QuoteMeta(stable(shown))
	pattern = strings.ReplaceAll(pattern, "\n"+regexp.QuoteMeta("...")+"\n", "\n(?s:.*\n)?")
	return regexp.MustCompile("^" + pattern + "$")
}

// volatile are the parts of output that differ from one run to the next, or from one
// engine to the next, with what they become.
var volatile = []struct {
	pattern *regexp.Regexp
	stable  string
}{
	{regexp.MustCompile(`\b(nestprobe-)[0-9a-f]{8}\b`), "${1}ID"},
	{regexp.MustCompile(`\b[0-9a-f]{12}\b`), "ID"},
	{regexp.MustCompile(`\b(172|10|192)\.\d+\.\d+\.\d+\b`), "ADDRESS"},
	{regexp.MustCompile(`\b[1-6]\d{4}\b`), "PORT"},
	{regexp.MustCompile(`\b\d+(\.\d+)?(µs|ms|s)\b`), "TIME"},
	{regexp.MustCompile(`(?m)-{3,}|─{3,}| {2,}`), "  "},
	{regexp.MustCompile(`(?m) +$`), ""},
}

// stable is text without its volatile parts.
func stable(text string) string {
	for _, v := range volatile {
		text = v.pattern.ReplaceAllString(text, v.stable)
	}
	return text
}
