package netprobe

import (
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

func TestDenies(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"-DENIED Redis is running in protected mode":     "-DENIED Redis is running in protected mode",
		"-ERR max number of clients reached\r\n":         "-ERR max number of clients reached\r\n",
		"554 mail.example does not accept mail\r\n":      "554 mail.example does not accept mail\r\n",
		"421-Too many connections\r\n":                   "421-Too many connections\r\n",
		"* BYE Too many connections\r\n":                 "* BYE Too many connections\r\n",
		"Exceeded MaxStartups\r\n":                       "Exceeded MaxStartups\r\n",
		"HTTP/1.1 503 Service Unavailable\r\n\r\n":       "HTTP/1.1 503 Service Unavailable\r\n\r\n",
		"\x45\x00\x00\x00\xff\x6a\x04Host 'x' is not":    "Host 'x' is not",
		"\x17\x00\x00\x00\xff\x10\x04Too many":           "Too many",
		"E\x00\x00\x00\x40SFATAL\x00C53300\x00Mmany\x00": "SFATAL C53300 Mmany",
		"Esorry, too many clients already\n\x00":         "sorry, too many clients already",

		"SSH-2.0-OpenSSH_9.6\r\n":              "",
		"220 mail.example ESMTP\r\n":           "",
		"200 news.example ready\r\n":           "",
		"+OK ready\r\n":                        "",
		"-NOAUTH Authentication required.\r\n": "", // it serves who has the password
		"* OK IMAP4rev1\r\n":                   "",
		"HTTP/1.1 200 OK\r\n":                  "",
		"HTTP/1.":                              "",
		"42":                                   "",
		"4223 items":                           "",
		"ESMTP":                                "",
		"E":                                    "",
		"\x4a\x00\x00\x00\x0a8.0.36\x00":       "", // MySQL's greeting
		"\x00\x00\x00\x00":                     "",
		"":                                     "",
	} {
		assert.Check(t, denies([]byte(text)) == (want != ""), "%q", text)
		if want != "" {
			assert.Check(t, is.Equal(string(words([]byte(text))), want))
		}
	}
}

func FuzzDenies(f *testing.F) {
	f.Add([]byte("\x45\x00\x00\x00\xff\x6a\x04Host"))
	f.Add([]byte("E\x00\x00\x00\x40SFATAL\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if said := words(b); denies(b) && len(said) > len(b) {
			t.Errorf("%q became %q", b, said)
		}
	})
}
