package connection

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/bounds"
)

// reply is the response to a plain GET of /_ping.
type reply struct {
	status     string
	apiVersion string
	server     string
	body       string
	err        error
}

func (r reply) String() string {
	if r.err != nil {
		return r.err.Error()
	}
	return fmt.Sprintf("GET /_ping: %s, Api-Version %q, Server %q, body %q",
		r.status, r.apiVersion, r.server, strings.TrimSpace(r.body))
}

// requestPing sends GET /_ping through the client's transport and proxy, and reads
// what docker's client drops.
func (c *Connection) requestPing(ctx context.Context, scheme string) reply {
	response, err := c.get(ctx, scheme, "/_ping")
	if err != nil {
		return reply{err: err}
	}
	defer func() { _ = response.Body.Close() }()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 512)) // shown as far as it came
	return reply{
		status:     response.Status,
		apiVersion: response.Header.Get("Api-Version"),
		server:     response.Header.Get("Server"),
		body:       string(body),
	}
}

// get requests a path that has no API version, within measureTimeout. The caller
// closes the body.
func (c *Connection) get(ctx context.Context, scheme, path string) (*http.Response, error) {
	return c.request(ctx, measureTimeout, http.MethodGet, scheme, path, nil)
}

// request sends a request for a path that has no API version and may have a query. The
// limit includes reading the body, which the caller closes.
func (c *Connection) request(ctx context.Context, limit time.Duration, method, scheme, path string, body io.Reader) (*http.Response, error) {
	request, err := c.newRequest(ctx, method, scheme, path, body)
	if err != nil {
		return nil, err
	}
	bounded := c.client.HTTPClient()
	bounded.Timeout = limit
	return bounded.Do(request)
}

func (c *Connection) newRequest(ctx context.Context, method, scheme, path string, body io.Reader) (*http.Request, error) {
	path, query, _ := strings.Cut(path, "?")
	target := c.wire.base.JoinPath(path)
	target.Scheme, target.RawQuery = scheme, query
	request, err := http.NewRequestWithContext(ctx, method, target.String(), body)
	if err != nil {
		return nil, err
	}
	for name, value := range c.settings.use().headers {
		request.Header.Set(name, value)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/json")
	}
	return request, nil
}

// proxy is the proxy that docker's client goes through, or nil.
func (c *Connection) proxy() *url.URL {
	if c.settings.Transport != TCP || c.settings.use().direct {
		return nil
	}
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: c.wire.base})
	if err != nil {
		return nil // the client has failed with the same error
	}
	return proxy
}

// Proxy is host and port of the HTTP proxy of the environment that requests to
// the engine go through; empty for none.
func (c *Connection) Proxy() string {
	if proxy := c.proxy(); proxy != nil {
		return proxy.Host
	}
	return ""
}

// boundClient is docker's client, with the bounds of this connection for attaching too.
type boundClient struct {
	client.APIClient

	connection *Connection
}

// ContainerAttach attaches to a container. Docker's client does that on a connection of its
// own, without bounds, and drops an answer other than the upgrade.
func (c boundClient) ContainerAttach(ctx context.Context, id string, options container.AttachOptions) (types.HijackedResponse, error) {
	path := "/v" + c.connection.client.ClientVersion() + "/containers/" + id + "/attach?" + bounds.AttachQuery(options)
	request, err := c.connection.newRequest(ctx, http.MethodPost, c.connection.wire.base.Scheme, path, nil)
	if err != nil {
		return types.HijackedResponse{}, err
	}
	return bounds.Attach(c.connection.calls, request)
}
