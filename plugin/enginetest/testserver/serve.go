package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"
)

// printLog prints lines as a server does before it exits with an error. A container
// argument cannot hold a line break easily, so \n stands for one.
func printLog(lines string) {
	if lines != "" {
		fmt.Fprintln(os.Stderr, strings.ReplaceAll(lines, `\n`, "\n"))
	}
}

// serve listens and answers until the context ends, which is not an error.
func serve(ctx context.Context, o options) error {
	var config net.ListenConfig
	if o.udp {
		packets, err := config.ListenPacket(ctx, "udp", o.listen)
		return until(ctx, packets, err)
	}
	if o.unix != "" {
		listener, err := config.Listen(ctx, "unix", o.unix)
		return until(ctx, listener, err)
	}
	listener, err := config.Listen(ctx, "tcp", o.listen)
	if err != nil {
		return err
	}
	if o.noAccept {
		return until(ctx, listener, nil)
	}
	return serveOn(ctx, listener, o)
}

// until keeps a socket open until the context ends, unless it could not be opened.
func until(ctx context.Context, socket io.Closer, err error) error {
	if err != nil {
		return err
	}
	<-ctx.Done()
	return socket.Close()
}

func serveOn(ctx context.Context, listener net.Listener, o options) (err error) {
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	if o.https {
		if listener, err = withTLS(listener); err != nil {
			return err
		}
	}
	switch {
	case o.serial:
		err = serveSerially(ctx, listener, o)
	case o.silent || o.closes || o.tcpBanner != "":
		err = serveRaw(ctx, listener, o)
	default:
		err = serveHTTP(ctx, listener, o)
	}
	if errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) || ctx.Err() != nil {
		return nil
	}
	return err
}

func withTLS(listener net.Listener) (net.Listener, error) {
	certificate, err := serverCertificate()
	if err != nil {
		return nil, err
	}
	return tls.NewListener(listener, &tls.Config{
		Certificates: []tls.Certificate{certificate},
		MinVersion:   tls.VersionTLS12,
	}), nil
}

// serveRaw talks to connections that no HTTP server would.
func serveRaw(ctx context.Context, listener net.Listener, o options) error {
	var connections errgroup.Group
	for {
		conn, err := listener.Accept()
		if err != nil {
			return errors.Join(err, connections.Wait())
		}
		connections.Go(func() error {
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			defer stop()
			talk(conn, o)
			return nil
		})
	}
}

// serveSerially handles one connection after the other, as servers with one thread do.
func serveSerially(ctx context.Context, listener net.Listener, o options) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil && wait(ctx, o.delay) == nil {
			_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", o.status, len(o.body), o.body)
		}
		_ = conn.Close()
		stop()
		if o.once {
			return nil
		}
	}
}

// talk returns when the other side closes the connection.
func talk(conn net.Conn, o options) {
	defer conn.Close() //nolint:errcheck // the client sees it
	if o.closes {
		return
	}
	if o.silent {
		_, _ = io.Copy(io.Discard, conn)
		return
	}
	if _, err := io.WriteString(conn, o.tcpBanner+"\r\n"); err == nil {
		_, _ = io.Copy(conn, conn)
	}
}

func serveHTTP(ctx context.Context, listener net.Listener, o options) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/", unlessRefused(o, answer(o)))
	if o.webSocket != "" {
		mux.HandleFunc(o.webSocket, echo)
	}
	if o.hang != "" {
		mux.HandleFunc(o.hang, hang)
	}
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second, // no client of a test is slower
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	if o.h2c {
		server.Protocols = new(http.Protocols)
		server.Protocols.SetUnencryptedHTTP2(true)
	}
	return server.Serve(listener)
}

// unlessRefused is the handler of a server that refuses some requests: by their host,
// or because it has not been up for long enough. It answers after the delay.
func unlessRefused(o options, handler http.HandlerFunc) http.HandlerFunc {
	began := time.Now()
	return func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		switch {
		case wait(r.Context(), o.delay) != nil:
		case o.hosts != nil && !slices.Contains(o.hosts, host):
			http.Error(w, "Blocked request. This host is not allowed.", http.StatusForbidden)
		case time.Since(began) < o.badFor:
			w.WriteHeader(http.StatusBadGateway)
		default:
			handler(w, r)
		}
	}
}

// hostile are the answers that no client should trust.
func hostile(kind string) (http.HandlerFunc, bool) {
	handler, ok := map[string]http.HandlerFunc{
		"escape":     escape,
		"badheader":  badHeader,
		"endless":    endless,
		"slow":       slow,
		"hugeheader": hugeHeader,
		"truncated":  truncated,
		"close":      closeConnection,
	}[kind]
	return handler, ok
}

// answer picks the one handler with which this server answers every request.
func answer(o options) http.HandlerFunc {
	if handler, ok := hostile(o.hostile); ok {
		return handler
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if o.status >= 300 && o.status < 400 && r.URL.Path != "/redirected" {
			w.Header().Set("Location", "/redirected")
		}
		w.WriteHeader(o.status)
		if o.bodySize > 0 {
			_ = http.NewResponseController(w).Flush()                 // an error shows in what follows
			_, _ = io.WriteString(w, strings.Repeat("x", o.bodySize)) //nolint:gosec // constant text
			return
		}
		_, _ = io.WriteString(w, o.body) //nolint:gosec // the test's own text, harmful or not
	}
}

// hang holds a request until its client or this server is gone, and prints that it does.
func hang(_ http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(os.Stderr, "hanging")
	<-r.Context().Done()
}

func echo(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered
	}
	defer conn.CloseNow() //nolint:errcheck // closed properly below, if at all
	for {
		kind, message, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		if err := conn.Write(r.Context(), kind, message); err != nil {
			return
		}
	}
}

// escape tries to retitle the terminal, clear it, colour what follows and turn
// its direction.
func escape(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "\x1b]0;owned\x07\x1b[2J\x1b[31mred\u202egnihtemos\r\nlast\x00")
}

// badHeader has the like in a header, which Go's client quotes in its error.
func badHeader(w http.ResponseWriter, _ *http.Request) {
	w.Header()["X-Evil"] = []string{"\x1b[31mred"}
	w.WriteHeader(http.StatusOK)
}

func endless(w http.ResponseWriter, r *http.Request) {
	chunk := []byte(strings.Repeat("endless ", 8<<10))
	for r.Context().Err() == nil {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

func slow(w http.ResponseWriter, r *http.Request) {
	for {
		if _, err := io.WriteString(w, "s"); err != nil {
			return
		}
		if flusher, ok := w.(http.Flusher); ok {
			flusher.Flush()
		}
		if wait(r.Context(), 100*time.Millisecond) != nil {
			return
		}
	}
}

func hugeHeader(w http.ResponseWriter, _ *http.Request) {
	line := strings.Repeat("h", 64<<10)
	for i := range 256 { // 16 MiB: Go's client takes 10 by default
		w.Header().Set(fmt.Sprintf("X-Huge-%d", i), line)
	}
	w.WriteHeader(http.StatusOK)
}

// truncated announces more than it sends.
func truncated(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = io.WriteString(w, "only this")
}

// closeConnection closes the connection as a crashing server does.
func closeConnection(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// serverCertificate is the pair from the environment, or a self-signed one.
func serverCertificate() (tls.Certificate, error) {
	cert, key := os.Getenv("TESTSERVER_CERT"), os.Getenv("TESTSERVER_KEY")
	if cert != "" || key != "" {
		return tls.X509KeyPair([]byte(cert), []byte(key))
	}
	return selfSigned()
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "testserver"},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotBefore:    time.Now().Add(-time.Hour), // clocks differ
		NotAfter:     time.Now().Add(24 * time.Hour),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
