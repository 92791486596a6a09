package netprobe

import (
	"bytes"
	"strings"
)

// denies reports whether a server's first bytes, sent before the client has said
// anything, refuse to serve it. A greeting that asks for a password is no refusal.
func denies(first []byte) bool {
	return deniesInCode(first) || deniesInText(first) || isMySQLError(first) || isPostgresError(first)
}

// deniesInCode reports whether a line begins with the code of a negative reply: of
// SMTP (RFC 5321, section 4.2.1), FTP (RFC 959) and NNTP (RFC 3977), whose codes for it
// begin with 4 or 5; or a status of HTTP, which has come before any request.
func deniesInCode(first []byte) bool {
	code, isHTTP := bytes.CutPrefix(first, []byte("HTTP/1."))
	if isHTTP {
		if len(code) < 2 {
			return false
		}
		code = code[2:] // the minor version
	}
	if len(code) < 4 || code[0] != '4' && code[0] != '5' || !isDigit(code[1]) || !isDigit(code[2]) {
		return false
	}
	return code[3] == ' ' || code[3] == '-'
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// refusals are how servers begin a refusal in words.
var refusals = []string{
	"-DENIED ", "-ERR ", // Redis (protected mode, networking.c); Redis and POP3 (RFC 1939, section 3)
	"* BYE ",                                           // IMAP (RFC 9051, section 7.1.5)
	"Exceeded MaxStartups", "Not allowed at this time", // OpenSSH, sshd.c
	"ERROR Too many open connections", // memcached.c
}

func deniesInText(first []byte) bool {
	for _, refusal := range refusals {
		if bytes.HasPrefix(first, []byte(refusal)) {
			return true
		}
	}
	return false
}

// mysqlHeader is how many bytes come before the text of a MySQL error packet that is
// the first of a connection: the header of the packet, its type and the error's number.
const mysqlHeader = 7

// isMySQLError reports whether b begins with an error packet of MySQL or MariaDB, such as
// "Host ... is not allowed to connect": three bytes of length, number 0, type 0xff.
func isMySQLError(b []byte) bool {
	return len(b) > mysqlHeader && b[2] == 0 && b[3] == 0 && b[4] == 0xff
}

// isPostgresError reports whether b begins with an error message of PostgreSQL: E, a
// length and fields of a letter and a text each; or E and a text that ends with a zero,
// as it sends before it knows the version of the client's protocol.
func isPostgresError(b []byte) bool {
	if len(b) < 6 || b[0] != 'E' {
		return false
	}
	fields := b[1] == 0 && b[2] == 0 && (b[5] == 'S' || b[5] == 'C')
	return fields || bytes.HasSuffix(b, []byte("\n\x00"))
}

// words are the first bytes of a refusal without what is no text.
func words(b []byte) []byte {
	if isMySQLError(b) {
		return b[mysqlHeader:]
	}
	if isPostgresError(b) {
		if b[1] != 0 {
			return bytes.TrimRight(b[1:], "\n\x00")
		}
		return []byte(strings.ReplaceAll(strings.Trim(string(b[5:]), "\x00"), "\x00", " "))
	}
	return b
}
