package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// Bounds of connect.
const (
	connectTimeout = 2 * time.Second
	staysOpen      = 300 * time.Millisecond // a forwarder with nothing behind it closes before
)

// connect connects to addresses in parallel, and prints what happened to each.
func connect(out io.Writer, list string) {
	addresses := strings.Split(list, ",")
	outcomes := make([]string, len(addresses))
	var all sync.WaitGroup
	for i, address := range addresses {
		all.Go(func() { outcomes[i] = connectTo(address) })
	}
	all.Wait()
	for i, address := range addresses {
		fmt.Fprintln(out, address, outcomes[i]) //nolint:errcheck // there is no other output for the error
	}
}

func dial(address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: connectTimeout}
	return dialer.DialContext(context.Background(), "tcp", address)
}

// connectTo says what happened to a connection, to which nothing is sent.
func connectTo(address string) string {
	conn, err := dial(address)
	if err != nil {
		return errorWord(err)
	}
	defer conn.Close() //nolint:errcheck // nothing was sent
	if err := conn.SetReadDeadline(time.Now().Add(staysOpen)); err != nil {
		return err.Error()
	}
	_, err = conn.Read(make([]byte, 1))
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return "open"
	}
	return errorWord(err)
}

// Load is 200 connections a second for 10 s.
const (
	loadPause  = 5 * time.Millisecond
	loadFor    = 10 * time.Second
	loadLasts  = 3 * time.Millisecond
	loadAtOnce = 50
)

// load opens connections to an address, as its other clients would.
func load(address string) {
	tick := time.NewTicker(loadPause)
	defer tick.Stop()
	slots := make(chan struct{}, loadAtOnce)
	for end := time.Now().Add(loadFor); time.Now().Before(end); <-tick.C {
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			conn, err := dial(address)
			if err != nil {
				return
			}
			time.Sleep(loadLasts)
			_ = conn.Close() // nothing was sent
		}()
	}
}
