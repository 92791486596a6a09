package plugin

import (
	"net/http"
	"testing"

	"github.com/spf13/pflag"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

func TestParseHeaders(t *testing.T) {
	t.Parallel()
	header, err := parseHeaders([]string{"host: shop.example:81", "X-A:1", "x-a:  2 ", "Authorization: Basic a:b"})
	assert.NilError(t, err)
	assert.DeepEqual(t, header, http.Header{"Host": {"shop.example:81"}, "X-A": {"1", "2"}, "Authorization": {"Basic a:b"}})
	header, err = parseHeaders(nil)
	assert.Check(t, err == nil && header == nil)
	for _, bad := range []string{"", ":", "Host", "Host:", "Host: ", ": a", "A b: c", "A : b", "A: b\r\nC: d", "A: \x00", "Host: a/b", "Connection: close", "transfer-encoding: chunked"} {
		_, err := parseHeaders([]string{bad})
		assert.Check(t, is.ErrorContains(err, "--header"), "%q", bad)
	}
}

func FuzzParseHeaders(f *testing.F) {
	f.Add("Host: a")
	f.Add("A: b\nC: d")
	f.Fuzz(func(t *testing.T, line string) {
		header, err := parseHeaders([]string{line})
		if err == nil && len(header) != 1 {
			t.Errorf("%q became %q", line, header)
		}
	})
}

func TestPort(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"8080": "", "8080/tcp": "", "65535": "",
		"53/udp": "UDP is not probed", "53/sctp": "SCTP is not probed",
		"0": "must be from 1 to 65535", "65536": "must be", "-1": "must be", "http": "must be", "": "must be",
	} {
		var port portValue
		err := port.Set(text)
		if want == "" {
			assert.Check(t, err == nil && port != 0, text)
		} else {
			assert.Check(t, is.ErrorContains(err, want), text)
		}
	}
}

// An option that only HTTP has a use for chooses HTTP.
func TestSchemeOfDiagnose(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args   []string
		scheme netprobe.Scheme
		path   string
	}{
		{nil, netprobe.TCP, ""},
		{[]string{"--expect-body", "220"}, netprobe.TCP, ""},
		{[]string{"--path", "/a"}, netprobe.HTTP, "/a"},
		{[]string{"--header", "Host: a"}, netprobe.HTTP, "/"},
		{[]string{"--expect-status", "404"}, netprobe.HTTP, "/"},
		{[]string{"--websocket", "/ws"}, netprobe.HTTP, "/"},
		{[]string{"--scheme", "https", "--path", "/a"}, netprobe.HTTPS, "/a"},
	} {
		options := &diagnoseOptions{}
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		options.install(flags)
		assert.NilError(t, flags.Parse(test.args))
		assert.NilError(t, options.check(flags, []string{"web:80"}))
		got := options.target.TargetAt("web:80")
		assert.Check(t, got.Scheme == test.scheme && got.Path == test.path && got.Address == "web:80", "%v: %+v", test.args, got)
	}
}
