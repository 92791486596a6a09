//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// badAnswer answers a call of the Docker API in a way that no engine should.
type badAnswer func(w http.ResponseWriter, r *http.Request)

// escapes are what a terminal would obey, as JSON and as text.
const (
	jsonEscapes = `\u001b[31mRED\u001b]0;title\u0007\u202eRTL\u200b\u0085\nsecond line\r`
	textEscapes = "\x1b[31mRED\x1b]0;title\x07\u202eRTL\u200b\x85\x08\x7f"
)

// badCalls are the calls that a bad engine answers badly.
func badCalls() []string {
	return []string{
		`^(GET|HEAD) /_ping$`, `^GET /info$`, `^GET /version$`, `^GET /containers/json$`, `^GET /networks$`, `^GET /networks/`,
		`^GET /images/`, `^POST /containers/create$`, `^POST /containers/[^/]+/attach$`, `^POST /containers/[^/]+/start$`,
		`^POST /containers/[^/]+/wait$`, `^GET /containers/[^/]+/json$`, `^DELETE /containers/`,
	}
}

// badAnswers are the ways in which an engine answers badly.
func badAnswers() map[string]badAnswer {
	return map[string]badAnswer{
		"hang": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		},
		"close":              raw(""),
		"garbage":            raw(strings.Repeat("\x00\xff\x1b[31mgarbage", 1000)),
		"endless header":     rawEndless("HTTP/1.1 200 OK\r\n", "X: "+strings.Repeat("h", 10000)+"\r\n"),
		"endless line":       rawEndless("HTTP/1.1 200 ", "O"),
		"half a header":      raw("HTTP/1.1 200 OK\r\nContent-Le"),
		"truncated":          raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{\"Id\":\"abc"),
		"wrong length":       raw("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}"),
		"frame of 4 GiB":     rawEndless(upgraded+"\x01\x00\x00\x00\xff\xff\xff\xf0", strings.Repeat("A", 1<<16)),
		"frames of nothing":  rawEndless(upgraded, "\x01\x00\x00\x00\x00\x00\x00\x00"),
		"endless space":      endless(200, "", strings.Repeat(" ", 1<<16)),
		"endless string":     endless(200, `{"Id":"`, strings.Repeat("A", 1<<16)),
		"endless error":      endless(500, `{"message":"`, strings.Repeat("A", 1<<16)),
		"deep":               endless(200, "", strings.Repeat("[", 1<<16)),
		"drip":               drip,
		"million networks":   million(`{"Name":"n%[1]d","Id":"%064[1]d","Driver":"bridge","IPAM":{"Config":[{"Subnet":"10.1.1.0/24"}]}}`),
		"million containers": million(`{"Id":"%064[1]d","Names":["/x%[1]d"],"State":"dead"}`),
		"redirect":           redirect(http.StatusMovedPermanently, "http://127.0.0.1:9/stolen"),
		"redirect of a body": redirect(http.StatusTemporaryRedirect, "http://127.0.0.1:9/stolen"),
		"redirect loop":      redirect(http.StatusFound, ""),
		"20 MB of error":     status(500, `{"message":"`+strings.Repeat("E", 20<<20)+`"}`),
		"escapes":            status(500, `{"message":"`+jsonEscapes+`"}`),
		"escapes as text":    status(500, textEscapes),
		"no such image":      status(404, `{"message":"No such image: nestprobe-agent:gone"}`),
		"disk full":          status(500, `{"message":"mkdir /var/lib/docker/overlay2/x: no space left on device"}`),
		"not found":          status(404, `{"message":"nope"}`),
		"conflict":           status(409, `{"message":"nope"}`),
		"forbidden":          status(403, `{"message":"nope"}`),
		"unavailable":        status(503, `{"message":"nope"}`),
		"nothing":            status(200, ""),
		"no content":         status(204, ""),
		"null":               status(200, "null"),
		"empty object":       status(200, "{}"),
		"empty list":         status(200, "[]"),
		"a string":           status(200, `"str"`),
		"a number":           status(200, "12345"),
		"list of nulls":      status(200, "[null,null,{}]"),
		"hostile names": status(200, `{"Id":"x","Name":"/`+jsonEscapes+`","State":{"Running":true},"HostConfig":{"NetworkMode":"x`+jsonEscapes+`"},`+
			`"NetworkSettings":{"Ports":{"4647/tcp":[{"HostIp":"not an ip`+jsonEscapes+`","HostPort":"99999"},{"HostIp":"","HostPort":"-1"}]},`+
			`"Networks":{"n`+jsonEscapes+`":{"IPAddress":"300.1.1.1\n","Gateway":"`+jsonEscapes+`","NetworkID":"../../x"}}}}`),
		"hostile version": status(200, `{"Version":"20`+jsonEscapes+`","ApiVersion":"1.41`+jsonEscapes+`","MinAPIVersion":"1.12","Os":"linux","Arch":"amd64"}`),
	}
}

const upgraded = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"

func hijack(w http.ResponseWriter) net.Conn {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return c
}

func raw(text string) badAnswer {
	return func(w http.ResponseWriter, _ *http.Request) {
		c := hijack(w)
		_, _ = io.WriteString(c, text)
		_ = c.Close()
	}
}

func rawEndless(begin, repeated string) badAnswer {
	return func(w http.ResponseWriter, _ *http.Request) {
		c := hijack(w)
		writeEndless(c, begin, repeated)
		_ = c.Close()
	}
}

// writeEndless writes until nobody reads.
func writeEndless(w io.Writer, begin, repeated string) {
	_, err := io.WriteString(w, begin)
	block := bytes.Repeat([]byte(repeated), max(1, (1<<16)/len(repeated)))
	for err == nil {
		_, err = w.Write(block)
	}
}

func asJSON(w http.ResponseWriter, code int) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Api-Version", "1.41")
	w.WriteHeader(code)
}

func status(code int, body string) badAnswer {
	return func(w http.ResponseWriter, _ *http.Request) {
		asJSON(w, code)
		_, _ = io.WriteString(w, body)
	}
}

func endless(code int, begin, repeated string) badAnswer {
	return func(w http.ResponseWriter, _ *http.Request) {
		asJSON(w, code)
		writeEndless(w, begin, repeated)
	}
}

func drip(w http.ResponseWriter, r *http.Request) {
	asJSON(w, 200)
	for r.Context().Err() == nil {
		_, _ = io.WriteString(w, " ")
		w.(http.Flusher).Flush()
		<-time.After(200 * time.Millisecond)
	}
}

func million(entry string) badAnswer {
	return func(w http.ResponseWriter, _ *http.Request) {
		asJSON(w, 200)
		_, err := io.WriteString(w, "[")
		for i := 0; i < 1000000 && err == nil; i++ {
			if i > 0 {
				_, _ = io.WriteString(w, ",")
			}
			_, err = fmt.Fprintf(w, entry, i)
		}
		_, _ = io.WriteString(w, "]")
	}
}

func redirect(code int, to string) badAnswer {
	return func(w http.ResponseWriter, r *http.Request) {
		if to == "" {
			to = r.URL.String()
		}
		w.Header().Set("Location", to)
		w.WriteHeader(code)
	}
}
