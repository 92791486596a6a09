package render

import (
	"reflect"
	"regexp"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// escape returns a copy of the Report in which no text has control characters or
// line ends; only bodies keep their line ends and tabs. All formats rely on it. It
// is the only place that escapes names and addresses: the engine sends them, and a
// network alias may hold any character. A Report from a client container
// arrives as JSON from that container, so every text in it is escaped again here.
// What is escaped already does not change.
func escape(rep *report.Report) *report.Report {
	escaped, _ := escapeValue(reflect.ValueOf(*rep)).Interface().(report.Report)
	for i, p := range rep.Probes {
		escaped.Probes[i].Body = escapeLines(p.Body)
	}
	return &escaped
}

// escapeValue escapes every text in a value. It replaces a nil list with an empty
// one, which is [] in JSON, as programs that read lists expect.
func escapeValue(v reflect.Value) reflect.Value {
	escaped := reflect.New(v.Type()).Elem()
	escaped.Set(v)
	switch v.Kind() {
	case reflect.String:
		escaped.SetString(escapeText(v.String()))
	case reflect.Struct:
		for i := range v.NumField() {
			escaped.Field(i).Set(escapeValue(v.Field(i)))
		}
	case reflect.Slice:
		escaped.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			escaped.Index(i).Set(escapeValue(v.Index(i)))
		}
	default:
	}
	return escaped
}

// longestEscape is how many bytes the escape of one byte may have, such as \xff.
const longestEscape = 4

func escapeText(s string) string { return netprobe.Visible(s, longestEscape*len(s)) }

// cells matches what is between line ends and tabs.
var cells = regexp.MustCompile(`[^\n\t]+`)

func escapeLines(s string) string { return cells.ReplaceAllStringFunc(s, escapeText) }
