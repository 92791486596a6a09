//go:build linux

package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// serveRole is the first argument with which this program is a hostile server in a container.
const serveRole = "serve"

// hostilePort is where it listens.
const hostilePort = 8080

// serve answers every connection in one way until the container is stopped.
func serve(way string) {
	answer, ok := hostileAnswers()[way]
	if !ok {
		fmt.Fprintf(os.Stderr, "no such server: %s\n", way)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", fmt.Sprintf(":%d", hostilePort))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	context.AfterFunc(ctx, func() { _ = listener.Close() })
	for {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		go func() { // ends with the connection
			defer c.Close() //nolint:errcheck // the client is not to know
			answer(c)
		}()
	}
}

// hostileAnswer is how a server treats a connection.
type hostileAnswer func(c net.Conn)

func hostileWays() []string { return slices.Sorted(maps.Keys(hostileAnswers())) }

// hostileAnswers are servers that want to hang, crash or fool whoever probes them.
func hostileAnswers() map[string]hostileAnswer {
	const head = "HTTP/1.1 200 OK\r\n"
	return map[string]hostileAnswer{
		"silent":             func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
		"closes":             func(net.Conn) {},
		"resets":             func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) },
		"reads-nothing":      func(net.Conn) { select {} },
		"garbage":            says("\x00\xff\xfe\x1b[31m\x07garbage\r\n\r\n"),
		"endless-garbage":    saysEndlessly("", "\x00\xff\x1b[2J"),
		"endless-status":     saysEndlessly("HTTP/1.1 200 ", "O"),
		"endless-header":     saysEndlessly(head+"X: ", "h"),
		"endless-headers":    saysEndlessly(head, "X-Y: z\r\n"),
		"endless-body":       saysEndlessly(head+"\r\n", "foo"),
		"endless-chunks":     saysEndlessly(head+"Transfer-Encoding: chunked\r\n\r\n", "3\r\nfoo\r\n"),
		"endless-extension":  saysEndlessly(head+"Transfer-Encoding: chunked\r\n\r\n3;", "e=f;"),
		"endless-trailers":   saysEndlessly(head+"Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n3\r\nfoo\r\n0\r\n", "X: y\r\n"),
		"endless-continue":   saysEndlessly("", "HTTP/1.1 100 Continue\r\n\r\n"),
		"endless-hints":      saysEndlessly("", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
		"endless-cookies":    saysEndlessly(head, "Set-Cookie: a=b\r\n"),
		"slow-status":        saysSlowly(head + "\r\n"),
		"slow-headers":       saysSlowly(head + strings.Repeat("X: y\r\n", 1000)),
		"slow-body":          saysThenSlowly(head+"Content-Length: 100000\r\n\r\n", strings.Repeat("f", 100000)),
		"slow-chunks":        saysThenSlowly(head+"Transfer-Encoding: chunked\r\n\r\n", strings.Repeat("1\r\nf\r\n", 10000)),
		"huge-length":        says(head + "Content-Length: 9223372036854775807\r\n\r\nfoo"),
		"negative-length":    says(head + "Content-Length: -1\r\n\r\nfoo"),
		"two-lengths":        says(head + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nfoo"),
		"length-and-chunks":  says(head + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nfoo"),
		"huge-chunk":         says(head + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nfoo"),
		"negative-chunk":     says(head + "Transfer-Encoding: chunked\r\n\r\n-3\r\nfoo\r\n"),
		"truncated":          says(head + "Content-Length: 100\r\n\r\nfoo"),
		"gzip-bomb":          saysBomb("gzip"),
		"gzip-bomb-twice":    saysBomb("gzip, gzip"),
		"false-gzip":         says(head + "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nfoo"),
		"escapes-body":       says(head + "Content-Length: 40\r\n\r\n" + strings.Repeat("\x1b[31m\x07\x9b\x7f", 8)),
		"escapes-header":     says(head + "X-\x1b[31m: \x1b]0;title\x07\r\nContent-Length: 0\r\n\r\n"),
		"escapes-reason":     says("HTTP/1.1 500 \x1b[2J\x1b]52;c;eA==\x07\r\nContent-Length: 0\r\n\r\n"),
		"bidi-body":          says("HTTP/1.1 403 No\r\n\r\n\u202e\u2066\u200b safe? \u2069"),
		"redirect-loop":      says("HTTP/1.1 302 Found\r\nLocation: /foo\r\nContent-Length: 0\r\n\r\n"),
		"redirect-elsewhere": says("HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:9/stolen\r\nContent-Length: 0\r\n\r\n"),
		"redirect-to-file":   says("HTTP/1.1 301 File\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"),
		"status-000":         says("HTTP/1.1 000 Zero\r\n\r\n"),
		"status-999":         says("HTTP/1.1 999 Nines\r\n\r\n"),
		"status-huge":        says("HTTP/1.1 99999999999999999999 Huge\r\n\r\n"),
		"http-0.9":           says("<html>foo</html>"),
		"http-9.9":           says("HTTP/9.9 200 OK\r\n\r\nfoo"),
		"http2-goaway":       says("\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"),
		"tls-alert":          says("\x15\x03\x01\x00\x02\x02\x28"),
		"tls-huge-record":    saysEndlessly("\x16\x03\x03\xff\xff", "\x00"),
		"ssh-banner":         says("SSH-2.0-OpenSSH_9.6\r\n"),
		"switches":           says("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"),
		"websocket-frame":    upgrades("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", "A"),
		"websocket-pings":    upgrades("", "\x89\x00"),
		"websocket-continue": upgrades("\x01\x01a", "\x00\x01a"),
	}
}

// readRequest reads up to the end of a request's header, for a second at most.
func readRequest(c net.Conn) (lines []string) {
	_ = c.SetReadDeadline(time.Now().Add(time.Second))
	for in := bufio.NewScanner(io.LimitReader(c, 1<<16)); in.Scan() && in.Text() != ""; {
		lines = append(lines, in.Text())
	}
	return lines
}

func says(text string) hostileAnswer {
	return func(c net.Conn) {
		readRequest(c)
		_, _ = io.WriteString(c, text)
	}
}

func saysEndlessly(begin, repeated string) hostileAnswer {
	return func(c net.Conn) {
		readRequest(c)
		writeEndless(c, begin, repeated)
	}
}

func saysSlowly(text string) hostileAnswer { return saysThenSlowly("", text) }

// saysThenSlowly writes ten bytes a second after the beginning.
func saysThenSlowly(begin, text string) hostileAnswer {
	return func(c net.Conn) {
		readRequest(c)
		_, err := io.WriteString(c, begin)
		for i := 0; i < len(text) && err == nil; i++ {
			_, err = c.Write([]byte{text[i]})
			<-time.After(100 * time.Millisecond)
		}
	}
}

// saysBomb sends a gigabyte of zeros, compressed.
func saysBomb(encoding string) hostileAnswer {
	return func(c net.Conn) {
		readRequest(c)
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		for block := make([]byte, 1<<20); w != nil && packed.Len() < 1<<20; {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
		_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s", encoding, packed.Len(), packed.Bytes())
	}
}

// upgrades accepts a WebSocket and then sends frames without end. Any other request is answered
// well.
func upgrades(begin, repeated string) hostileAnswer {
	return func(c net.Conn) {
		for _, line := range readRequest(c) {
			if key, ok := strings.CutPrefix(line, "Sec-WebSocket-Key: "); ok {
				writeEndless(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+acceptKey(key)+"\r\n\r\n"+begin, repeated)
				return
			}
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nfoo")
	}
}
