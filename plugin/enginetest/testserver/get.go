package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// maxBody is more than any body that tests look at.
const maxBody = 64 << 10

// retryPause is the pause before the next request with --get-until.
const retryPause = 20 * time.Millisecond

// get sends a request and prints the result on one line. The exit status is 0 if
// there was an answer, whatever it was.
func get(out io.Writer, o options) int {
	ctx, cancel := context.WithTimeout(context.Background(), o.getTimeout)
	defer cancel()
	for {
		answer, err := fetchLine(ctx, o.get, o.getProxy)
		line := answer
		if err != nil {
			line = errorWord(err)
		}
		if o.getUntil != "" && line != o.getUntil && wait(ctx, retryPause) == nil {
			continue
		}
		fmt.Fprintln(out, line) //nolint:errcheck // there is no other output for the error
		if err != nil {
			return 1
		}
		return 0
	}
}

// fetchLine returns the status and the body of an answer on one line.
func fetchLine(ctx context.Context, url string, useProxy bool) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	transport := &http.Transport{DisableKeepAlives: true} // straight to the address: no redirect, no second try
	if useProxy {
		transport.Proxy = http.ProxyFromEnvironment
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close() //nolint:errcheck // read only
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d %s", response.StatusCode, strings.TrimSpace(string(body))), nil
}

// errorWord names the errors that tests of reachability distinguish. A server that
// closes the connection shows as one of three errors, one of them without a type.
func errorWord(err error) string {
	var netError net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "unreachable"
	case errors.As(err, &netError) && netError.Timeout():
		return "timeout"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET),
		strings.Contains(err.Error(), "server closed idle connection"):
		return "closed"
	}
	return err.Error()
}
