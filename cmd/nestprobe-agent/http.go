package main

import (
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
	"log"
	"math/big"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// A request has a few hundred bytes and its answer fits in one packet, so these limits
// are for clients that stall or flood, not for slow networks.
const (
	headerTimeout  = 5 * time.Second
	requestTimeout = 10 * time.Second
	idleTimeout    = 30 * time.Second
	maxHeaderBytes = 16 << 10
)

const (
	// maxMessage is the largest message, in bytes. A message is read completely before it
	// is sent back, since echoing while reading would block a client that writes a whole
	// message before it reads. It is far above the 64 KiB that a path with an MTU black
	// hole loses.
	maxMessage = 1 << 20
	// echoTimeout bounds a client that stops reading.
	echoTimeout = 10 * time.Second
)

// serveHTTP serves on listener until ctx ends. Then it returns nil immediately.
func serveHTTP(ctx context.Context, listener net.Listener, opts serveOptions) error {
	var protocols http.Protocols
	protocols.SetHTTP1(true) // a WebSocket is an upgrade of HTTP/1.1
	server := &http.Server{
		Handler:                      handler(opts),
		DisableGeneralOptionsHandler: true, // the answer of that handler has no identity
		Protocols:                    &protocols,
		ReadHeaderTimeout:            headerTimeout,
		ReadTimeout:                  requestTimeout,
		WriteTimeout:                 requestTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		ErrorLog:                     log.New(io.Discard, "", 0), // errors of clients are ignored
		BaseContext:                  func(net.Listener) context.Context { return ctx },
		ConnState:                    forgetHijacked,
	}
	if opts.scheme == string(netprobe.HTTPS) {
		config, err := selfSigned(time.Now())
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		listener = tls.NewListener(listener, config)
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); ctx.Err() == nil {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

// handler answers on one path and echoes on another. Every answer has the identity, that
// to any other path too.
func handler(opts serveOptions) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(netprobe.IdentityHeader, opts.identity)
		if r.URL.Path == opts.path {
			answer(w, r)
			return
		}
		if opts.websocket != "" && r.URL.Path == opts.websocket {
			echo(w, r)
			return
		}
		http.Error(w, "nothing at this path, try "+opts.path, http.StatusNotFound)
	})
}

func answer(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD are answered here", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	// An error means that the client has closed the connection.
	_, _ = io.WriteString(w, body)
}

// echo sends every message back with the same type, until the client or the server ends.
// A client may be silent for any time: TCP keep-alive detects that it is gone.
func echo(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // any page may open it: there is nothing to protect
	})
	if err != nil {
		return // Accept has answered
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(maxMessage)
	for {
		kind, message, err := conn.Read(r.Context())
		if err != nil {
			return // closed, broken or too large; the library has answered
		}
		if err := sendBack(r.Context(), conn, kind, message); err != nil {
			return
		}
	}
}

func sendBack(ctx context.Context, conn *websocket.Conn, kind websocket.MessageType, message []byte) error {
	ctx, cancel := context.WithTimeout(ctx, echoTimeout)
	defer cancel()
	return conn.Write(ctx, kind, message)
}

// selfSigned makes a certificate whose key only this process has. Clients cannot verify
// it and need not: the identity says which server answers.
func selfSigned(now time.Time) (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: "nestprobe-agent"},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotBefore:    now.Add(-24 * time.Hour), // the clocks of engine and client may differ, for example after a VM was suspended
		NotAfter:     now.AddDate(1, 0, 0),     // a server may be kept running
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: key}},
		MinVersion:   tls.VersionTLS12,
	}, nil
}
