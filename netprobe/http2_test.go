package netprobe

import (
	"testing"

	"gotest.tools/v3/assert"
)

func TestIsSettings(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"\x00\x00\x00\x04\x00\x00\x00\x00\x00":     true,
		"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00": true,
		"\x00\x00\x00\x04\x00\x00\x00\x00":         false, // cut off
		"\x00\x00\x00\x04\x01\x00\x00\x00\x00":     false, // an acknowledgement
		"\x00\x00\x05\x04\x00\x00\x00\x00\x00":     false, // no whole setting
		"\x01\x00\x02\x04\x00\x00\x00\x00\x00":     false, // too long
		"\x00\x00\x00\x04\x00\x00\x00\x00\x01":     false, // of a stream
		"\x00\x00\x08\x07\x00\x00\x00\x00\x00":     false, // GOAWAY
		"HTTP/1.1 400 Bad Request":                 false,
		"":                                         false,
	} {
		assert.Check(t, isSettings([]byte(text)) == want, "%q", text)
	}
}

func FuzzIsSettings(f *testing.F) {
	f.Add([]byte("\x00\x00\x06\x04\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if isSettings(b) && (len(b) < frameHeaderSize || b[3] != 4) {
			t.Errorf("%q is taken for settings", b)
		}
	})
}
