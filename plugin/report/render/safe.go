package render

import (
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// safe is the Report with nothing in it that a terminal would obey, or that would
// pass for more lines than one of a table. What servers said is so already; names
// and addresses are an engine's words, who may have them from anybody: a network
// alias holds control characters and line ends if somebody wants it to.
func safe(rep *report.Report) *report.Report {
	cleaned, _ := clean(reflect.ValueOf(*rep)).Interface().(report.Report)
	for i, p := range rep.Probes {
		cleaned.Probes[i].Body = harmlessLines(p.Body)
	}
	return &cleaned
}

// clean makes every text one harmless line. A list that is nil becomes empty: it is
// [] in JSON, as programs that read lists expect.
func clean(v reflect.Value) reflect.Value {
	cleaned := reflect.New(v.Type()).Elem()
	cleaned.Set(v)
	switch v.Kind() {
	case reflect.String:
		cleaned.SetString(harmless(v.String()))
	case reflect.Struct:
		for i := range v.NumField() {
			cleaned.Field(i).Set(clean(v.Field(i)))
		}
	case reflect.Slice:
		cleaned.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			cleaned.Index(i).Set(clean(v.Index(i)))
		}
	default:
	}
	return cleaned
}

// maxText bounds a text that had to be made visible: more than any body.
const maxText = 1 << 20

func harmless(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, harmful) {
		return s
	}
	return netprobe.Visible(s, maxText)
}

func harmful(r rune) bool { return !unicode.IsPrint(r) }

// harmlessLines leaves line ends and tabs, which a body alone may have.
func harmlessLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		cells := strings.Split(line, "\t")
		for j, cell := range cells {
			cells[j] = harmless(cell)
		}
		lines[i] = strings.Join(cells, "\t")
	}
	return strings.Join(lines, "\n")
}
