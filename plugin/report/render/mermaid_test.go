package render

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/render/layout"
)

// mermaidLine matches a line of a diagram. A label has letters, digits, some
// punctuation, characters beyond ASCII, character codes, and our own line breaks.
var mermaidLine = func() *regexp.Regexp {
	label := `"(?:[0-9A-Za-z \[\],.:-]|[^\x00-\x7f°¶\x{2060}]|#\d+;|<br/>)+"`
	return regexp.MustCompile(`^(?:flowchart LR|  end` +
		`|  subgraph n\d+\[` + label + `\]` +
		`|  v\d+\(\[` + label + `\]\):::vantage` +
		`|    s\d+\[\[` + label + `\]\]:::server|  s\d+\[\[` + label + `\]\]:::server` +
		`|  a\d+\(` + label + `\):::(?:good|bad)|  m\d+\[` + label + `\]:::bad|  note\[` + label + `\]:::note` +
		`|  [va]\d+ (?:-->|-\.-x)(?:\|` + label + `\|)? [as]\d+` +
		`|  classDef \w+ [\w:#,-]+|  linkStyle [\d,]+ stroke:#\w+)$`)
}()

func checkMermaid(t *testing.T, diagram string) {
	t.Helper()
	for line := range strings.Lines(diagram) {
		line = strings.TrimSuffix(line, "\n")
		assert.Check(t, mermaidLine.MatchString(line), "%q", line)
		if strings.Contains(line, `"`) {
			assert.Check(t, !strings.Contains(line, "style") && !strings.Contains(line, "classDef"), line)
		}
	}
	assert.Check(t, utf8.RuneCountInString(diagram) < 50_000) // Mermaid's own limit
}

var entity = regexp.MustCompile(`#(\d+);`)

// A label shows the text that it was given.
func FuzzMermaidLabel(f *testing.F) {
	for _, text := range hostileTexts {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = escapeText(text)
		quoted := label(text)
		decoded := entity.ReplaceAllStringFunc(quoted[1:len(quoted)-1], func(code string) string {
			r, err := strconv.Atoi(code[1 : len(code)-1])
			assert.NilError(t, err)
			return string(rune(r))
		})
		want := layout.Shorten(text, maxDrawnLabel)
		if want == "" {
			want = "unnamed"
		}
		assert.Equal(t, decoded, unmarked(want))
		looks := strings.NewReplacer(joiner, "", "ˋ", "`", "∗", "*", "∼", "~")
		assert.Equal(t, looks.Replace(decoded), looks.Replace(want))
	})
}

// Many addresses are drawn as pairs of vantage and server, and pairs beyond a bound
// are left out. The diagram stays below Mermaid's limits.
func TestMermaidIsBounded(t *testing.T) {
	r := report.New("run")
	long := strings.Repeat("<>", 100)
	for i := range 100 {
		r.Servers = append(r.Servers, report.Server{Name: long, Node: long, Networks: []report.Network{{Name: strconv.Itoa(i) + long}}})
		r.Probes = append(r.Probes, probe(i, "container-ip", long, report.Probe{Vantage: long + strconv.Itoa(i), Failure: "refused", Cause: report.Cause(long)}))
	}
	var out bytes.Buffer
	assert.NilError(t, writeMermaid(&out, r))
	checkMermaid(t, out.String())
	assert.Check(t, strings.Contains(out.String(), "note[\"100 addresses are not drawn one by one<br/>60 vantage-server pairs are left out\"]"))
	assert.Check(t, is.Equal(strings.Count(out.String(), " -.-x"), maxPairs))

	r.Probes, r.Servers = r.Probes[:maxDrawn], r.Servers[:maxDrawn]
	out.Reset()
	assert.NilError(t, writeMermaid(&out, r))
	checkMermaid(t, out.String())
	assert.Check(t, is.Equal(strings.Count(out.String(), ":::bad\n"), maxDrawn))
}
