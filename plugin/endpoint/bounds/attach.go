package bounds

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
)

// AttachQuery returns the query of a request that attaches to a container.
func AttachQuery(options container.AttachOptions) string {
	query := url.Values{}
	for name, set := range map[string]bool{
		"stream": options.Stream, "stdin": options.Stdin, "stdout": options.Stdout, "stderr": options.Stderr, "logs": options.Logs,
	} {
		if set {
			query.Set(name, "1")
		}
	}
	return query.Encode()
}

// Attach sends a request that switches the connection to a container's streams. The end of
// the request's context ends it until then. The caller closes the connection. A write that
// the engine does not take within AnswerTime fails with an [*Error].
func Attach(through http.RoundTripper, request *http.Request) (types.HijackedResponse, error) {
	var used net.Conn
	traced := httptrace.WithClientTrace(request.Context(), &httptrace.ClientTrace{
		GotConn: func(got httptrace.GotConnInfo) { used = got.Conn },
	})
	request = request.WithContext(traced)
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", "tcp")
	request.Header.Set("Content-Type", "text/plain")
	response, err := through.RoundTrip(request)
	if err != nil {
		return types.HijackedResponse{}, err
	}
	streams, ok := response.Body.(io.ReadWriteCloser)
	if response.StatusCode != http.StatusSwitchingProtocols || !ok {
		return types.HijackedResponse{}, errors.Join(notAttached(response), response.Body.Close())
	}
	if err := context.Cause(request.Context()); err != nil {
		return types.HijackedResponse{}, errors.Join(err, streams.Close())
	}
	return types.NewHijackedResponse(&attachedConn{Conn: used, streams: streams}, response.Header.Get("Content-Type")), nil
}

// notAttached is the error of an engine that does not attach.
func notAttached(response *http.Response) error {
	const maxWords = 4 << 10
	words, err := io.ReadAll(io.LimitReader(response.Body, maxWords))
	if Is(err) {
		return err
	}
	var answer struct{ Message string }
	if json.Unmarshal(words, &answer) == nil && answer.Message != "" {
		words = []byte(answer.Message)
	}
	return sentence.Of(err, "the engine does not attach to the container (%d): %s", response.StatusCode, sentence.Visible(string(words)))
}

// attachedConn is the connection that carries a container's streams.
type attachedConn struct {
	net.Conn
	streams io.ReadWriteCloser // of the connection; some of what was received is in its buffer
}

func (c *attachedConn) Read(p []byte) (int, error) { return c.streams.Read(p) }

func (c *attachedConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(AnswerTime)); err != nil {
		return 0, err
	}
	n, err := c.streams.Write(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		const call = "POST /containers/{id}/attach"
		err = newLate(call, "the engine did not take the input of %s within %s", call, seconds(AnswerTime))
	}
	return n, err
}

func (c *attachedConn) Close() error { return c.streams.Close() }
