package plugin_test

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// tap is a socket that passes requests on to a real engine and reports each one. With
// it a test acts at an exact moment, such as "the engine has made the container, and
// the plugin has not received the answer".
type tap struct {
	Host string // what DOCKER_HOST is set to
}

// moment is a request that passes the tap.
type moment struct {
	Number   int    // of the request, from 1
	Request  string // such as "POST /containers/ID/start", without the API's version
	Name     string // of what the request is to make
	Answered bool   // the engine has answered, the client does not know yet
	Client   int    // process id of the client
}

// is reports whether a request matches a pattern, in which ID stands for any name.
func (m moment) is(pattern string, answered bool) bool {
	quoted := strings.ReplaceAll(regexp.QuoteMeta(pattern), "ID", "[^/]+")
	return m.Answered == answered && regexp.MustCompile("^"+quoted+"$").MatchString(m.Request)
}

// startTap starts a tap on an engine. Requests wait until pass has returned.
func startTap(t *testing.T, engine *enginetest.Engine, pass func(moment)) *tap {
	t.Helper()
	return listenTap(t, engine, "unix", newSocketPath(t), pass)
}

// listenTap starts a tap at an address.
func listenTap(t *testing.T, engine *enginetest.Engine, network, address string, pass func(moment)) *tap {
	t.Helper()
	server := &http.Server{
		Handler:     proxyTo(engine, pass),
		ConnContext: notePeer,
		ErrorLog:    log.New(io.Discard, "", 0),
	}
	return &tap{Host: serve(t, server, network, address)}
}

// proxyTo passes requests on to an engine, and calls pass before each and after its
// answer.
func proxyTo(engine *enginetest.Engine, pass func(moment)) http.Handler {
	var number atomic.Int64
	transport := &http.Transport{
		DisableKeepAlives:  true, // or connections to an engine would outlive its restart
		DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", engine.Socket)
		},
	}
	proxy := &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1, // streams are followed as they come
		ErrorLog:      log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "engine"
		},
		ModifyResponse: func(response *http.Response) error {
			m := response.Request.Context().Value(momentKey{}).(moment)
			m.Answered = true
			pass(m)
			return nil
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := moment{
			Number:  int(number.Add(1)),
			Request: r.Method + " " + apiVersion.ReplaceAllString(r.URL.Path, "/"),
			Name:    r.URL.Query().Get("name"),
			Client:  r.Context().Value(peerKey{}).(int),
		}
		pass(m)
		proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), momentKey{}, m)))
	})
}

type (
	momentKey struct{}
	peerKey   struct{}
)

// notePeer keeps the process id of the client at the other end of the socket.
func notePeer(ctx context.Context, conn net.Conn) context.Context {
	pid := 0
	if raw, err := conn.(syscall.Conn).SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { // a pid of 0 is never signalled
			if peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
				pid = int(peer.Pid)
			}
		})
	}
	return context.WithValue(ctx, peerKey{}, pid)
}
