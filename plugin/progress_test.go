package plugin

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker/cli/cli/streams"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

// A long step counts its seconds on the last line, a note goes above it, and nothing of it
// stays but how long it took.
func TestProgressCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		out := streams.NewOut(&text)
		out.SetIsTerminal(true)
		p := &progress{out: out}
		done := p.Step("Waiting for an answer")
		time.Sleep(1500 * time.Millisecond)
		p.Note("a note that is longer than the counter of the step")
		time.Sleep(time.Second)
		done()
		done()
		p.Step("Short")()
		assert.Equal(t, text.String(), "\rWaiting for an answer... 1s"+
			"\ra note that is longer than the counter of the step\n"+
			"\rWaiting for an answer... 1s\rWaiting for an answer... 2s"+
			"\rWaiting for an answer took 2.5s\n")
	})
}

func TestProgressIsSilentOffATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		p := &progress{out: streams.NewOut(&text)}
		done := p.Step("Waiting")
		time.Sleep(3 * time.Second)
		done()
		p.Note("note")
		assert.Equal(t, text.String(), "note\n")
	})
}

// Of several steps the latest is counted, and a shorter line covers a longer one.
func TestProgressOfSeveralSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		out := streams.NewOut(&text)
		out.SetIsTerminal(true)
		p := &progress{out: out}
		first := p.Step("A long name of a step that takes long")
		time.Sleep(1100 * time.Millisecond)
		second := p.Step("B")
		time.Sleep(1200 * time.Millisecond)
		second()
		first()
		lines := strings.Split(text.String(), "\r")
		assert.Check(t, is.Regexp(regexp.MustCompile(`^B\.\.\. \ds +$`), lines[3]), "%q", lines)
		assert.Check(t, is.Contains(text.String(), "B took 1.2s"))
		assert.Check(t, is.Contains(text.String(), "A long name of a step that takes long took 2.3s"))
	})
}

// A pull draws its own lines, so the counter makes room for it.
func TestProgressDuringPull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		out := streams.NewOut(&text)
		out.SetIsTerminal(true)
		p := &progress{out: out}
		done := p.Step("Starting")
		time.Sleep(1500 * time.Millisecond)
		reader, writer := io.Pipe()
		go func() {
			time.Sleep(3 * time.Second)
			_, _ = io.WriteString(writer, `{"status":"Pulling from team/web"}`+"\n")
			_ = writer.Close()
		}()
		assert.NilError(t, p.Pull(reader))
		done()
		assert.Equal(t, text.String(), "\rStarting... 1s\r"+strings.Repeat(" ", len("Starting... 1s"))+"\rPulling from team/web\n"+
			"\rStarting... 4s\rStarting took 4.5s\n")
	})
}
