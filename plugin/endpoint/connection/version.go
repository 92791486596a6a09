package connection

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/versions"
	"github.com/docker/docker/client"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// minAPIVersion is the oldest API that nestprobe can work with: 1.25 (Engine
// 1.13) introduced AutoRemove, with which the engine removes the containers of an
// interrupted run (moby, docs/api/version-history.md).
const minAPIVersion = "1.25"

// APIVersions are the oldest and the newest version of the API that the engine
// serves, and the one that is used with it.
type APIVersions struct{ Oldest, Newest, Used string }

// APIVersions requests the engine's versions, unless they are known from
// [Connection.Describe]. They are empty if the engine does not tell them. If the client
// speaks none of them, the error is of type [*report.Fault].
func (c *Connection) APIVersions(ctx context.Context) (APIVersions, error) {
	version, err := c.serverVersion(ctx)
	if err != nil {
		return APIVersions{}, c.Explain(ctx, err)
	}
	oldest, newest := version.MinAPIVersion, version.APIVersion
	used := c.API.ClientVersion()
	if oldest != "" && versions.LessThan(used, oldest) {
		return APIVersions{}, c.tooOld("the client speaks API "+used, "use a nestprobe that is as new as the engine", oldest, newest)
	}
	return APIVersions{oldest, newest, used}, nil
}

// checkVersion compares the client's API version with those of the engine. Only
// /version reports the oldest one, so it is requested only if DOCKER_API_VERSION
// rules out negotiation.
func (c *Connection) checkVersion(ctx context.Context, offered string) error {
	fixed := c.settings.use().apiVersion
	switch {
	case versions.LessThan(offered, minAPIVersion):
		return c.tooOld("there is no API version in common", "update the engine", "", offered)
	case fixed == "":
		return nil
	case versions.LessThan(fixed, minAPIVersion), versions.GreaterThan(fixed, offered):
		return c.versionFixed(fixed, "", offered)
	}
	oldest, _, err := c.versionRange(ctx)
	if err != nil {
		return ctx.Err() // unknown; a refusal is explained when it comes
	}
	if versions.LessThan(fixed, oldest) {
		return c.versionFixed(fixed, oldest, offered)
	}
	return nil
}

// checkPath makes one call below the path of an endpoint that has one. An engine answers
// a ping below /v1.40 too, but nothing else.
func (c *Connection) checkPath(ctx context.Context) error {
	path := strings.Trim(c.wire.base.Path, "/")
	if path == "" {
		return nil
	}
	if _, err := c.serverVersion(ctx); !cerrdefs.IsNotFound(err) {
		return ctx.Err() // another fault is explained when it comes
	}
	why := sentence.Of(nil, "the engine at %s answers a ping, but no other request below /%s", c.settings.Host, path)
	fault := unreachable(why, "leave out the path", "GET /version below /"+path+": not found")
	return c.settings.reviewed(ctx, c.settings.withEndpoint(fault, netprobe.PhaseAnswer))
}

func (c *Connection) versionFixed(fixed, oldest, newest string) error {
	return c.tooOld(fmt.Sprintf("%s fixes the API version to %s", client.EnvOverrideAPIVersion, fixed),
		"unset "+client.EnvOverrideAPIVersion, oldest, newest, shell.Unset(client.EnvOverrideAPIVersion))
}

func (c *Connection) tooOld(what, hint, oldest, newest string, commands ...string) *report.Fault {
	offer := "up to " + newest
	if oldest != "" {
		offer = oldest + " to " + newest
	}
	fault := &report.Fault{
		Cause: APIVersionUnsupported,
		Evidence: []string{
			"API versions of the engine: " + offer,
			fmt.Sprintf("API version of the client: %s, needed: at least %s", c.API.ClientVersion(), minAPIVersion),
		},
		Hint:     hint,
		Commands: commands,
		Err:      sentence.Of(nil, "%s, the engine offers %s and nestprobe needs at least %s", what, offer, minAPIVersion),
	}
	return c.settings.withEndpoint(fault, netprobe.PhaseAnswer)
}

// explainRefusal looks for a version mismatch behind an error of the engine.
func (c *Connection) explainRefusal(ctx context.Context, err error) error {
	if !cerrdefs.IsInvalidArgument(err) {
		return Explain(err)
	}
	oldest, newest, rangeErr := c.versionRange(ctx)
	if rangeErr != nil {
		return err
	}
	used := c.API.ClientVersion()
	if !versions.LessThan(used, oldest) && !versions.GreaterThan(used, newest) {
		return err
	}
	return c.tooOld("the client speaks API "+used, "use a nestprobe that is as new as the engine", oldest, newest)
}

// versionRange requests the API versions that the engine serves. The client's own
// call does not help: an engine that refuses the version refuses that call too.
func (c *Connection) versionRange(ctx context.Context) (oldest, newest string, err error) {
	response, err := c.get(ctx, c.wire.base.Scheme, "/version")
	if err != nil {
		return "", "", err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return "", "", fmt.Errorf("request the API versions: %s", response.Status)
	}
	var answer struct {
		APIVersion    string `json:"ApiVersion"`
		MinAPIVersion string
	}
	const limit = 1 << 20 // an engine's answer is under 4 KiB
	if err := json.NewDecoder(io.LimitReader(response.Body, limit)).Decode(&answer); err != nil {
		return "", "", fmt.Errorf("read the API versions: %w", err)
	}
	return answer.MinAPIVersion, answer.APIVersion, nil
}
