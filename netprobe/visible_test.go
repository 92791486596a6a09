package netprobe_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

func TestVisible(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		in    string
		limit int
		want  string
	}{
		{"", 10, ""},
		{"foo", 3, "foo"},
		{"héllo wörld ✓ 日本", 100, "héllo wörld ✓ 日本"},
		{`C:\n "quoted"`, 100, `C:\n "quoted"`},
		{"a\r\n\tb", 100, `a\r\n\tb`},
		{"\x1b[31mred\x07\x00\x7f", 100, `\x1b[31mred\x07\x00\x7f`},
		{"\u009b2J\u0085", 100, `\u009b2J\u0085`},                       // C1: the other escape character of terminals
		{"\u202etxt.exe\u2066\u200f", 100, `\u202etxt.exe\u2066\u200f`}, // reversed reading
		{"a\u200bb\ufeffc\u00add", 100, `a\u200bb\ufeffc\u00add`},       // invisible
		{"a\u00a0b\u2028c", 100, `a\u00a0b\u2028c`},
		{"\U000e0041", 100, `\U000e0041`}, // a tag character
		{"\xff\xc3(\xed\xa0\x80", 100, `\xff\xc3(\xed\xa0\x80`},
		{"\ufffd", 100, "\ufffd"}, // a valid one
		{"abcdef", 5, "ab…"},
		{"abcdef", 6, "abcdef"},
		{"ab\x1bcd", 6, "ab…"}, // an escape is not cut in two
		{"日本語", 8, "日…"},
		{"abc", 2, ""},
		{"abc", 0, ""},
		{"abc", -1, ""},
	} {
		if got := netprobe.Visible(test.in, test.limit); got != test.want {
			t.Errorf("Visible(%q, %d) is %q, want %q", test.in, test.limit, got, test.want)
		}
	}
}

func FuzzVisible(f *testing.F) {
	for _, seed := range []string{"", "foo", "\x1b[2J", "\u202e", "\xff", "日本語", `\x1b`, strings.Repeat("\n", 50)} {
		f.Add(seed, 20)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		got := netprobe.Visible(s, limit)
		if len(got) > max(limit, 0) || !utf8.ValidString(got) {
			t.Errorf("%q", got)
		}
		if strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("something invisible in %q", got)
		}
		if again := netprobe.Visible(got, limit); again != got {
			t.Errorf("%q became %q", got, again)
		}
		if whole := netprobe.Visible(s, 4*len(s)); strings.HasSuffix(whole, "…") && !strings.HasSuffix(s, "…") {
			t.Errorf("four times its length is not enough for %q", s)
		}
	})
}

func TestBodyKeepsItsLines(t *testing.T) {
	t.Parallel()
	body := "one\ttwo\r\nthree\n\x1b[2J\rfour"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, body)
	}))
	defer server.Close()
	target := netprobe.Target{Address: strings.TrimPrefix(server.URL, "http://")}
	got := netprobe.Probe(t.Context(), target, netprobe.Options{}).Body
	if want := "one\ttwo\nthree\n\\x1b[2J\\rfour"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
