package render

import (
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// safe is the Report with nothing in it that a terminal would obey. What servers
// said is so already; names and addresses are an engine's words, who may have them
// from anybody: a network alias holds control characters if somebody wants it to.
func safe(rep *report.Report) *report.Report {
	cleaned, _ := clean(reflect.ValueOf(*rep)).Interface().(report.Report)
	return &cleaned
}

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
		if v.IsNil() {
			break // JSON tells it from an empty one
		}
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

// harmless leaves line ends and tabs, which bodies have.
func harmless(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, harmful) {
		return s
	}
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = netprobe.Visible(line, maxText)
	}
	return strings.Join(lines, "\n")
}

func harmful(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) }
