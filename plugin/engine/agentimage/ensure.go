package agentimage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
)

// find looks for the agent image for an OS and CPU on the engine. It makes one request,
// an inspect, and returns the image without its binary.
func (s store) find(ctx context.Context, api API, os, arch string) (image Archive, found bool, err error) {
	image, err = s.describe(os, arch)
	if err == nil {
		found, err = s.has(ctx, api, image)
	}
	return image, found, err
}

// ensure makes sure that the engine has the agent image for an OS and CPU. It returns the
// image's reference, and whether it loaded the image.
func (s store) ensure(ctx context.Context, api API, os, arch string) (ref string, loaded bool, err error) {
	archive, found, err := s.find(ctx, api, os, arch)
	if err != nil {
		return "", false, err
	}
	if found {
		return archive.Tag, false, nil
	}
	if err := s.loadUntilThere(ctx, api, archive); err != nil {
		return "", false, err
	}
	s.removeOthers(ctx, api, archive)
	return archive.Tag, true, nil
}

// loadAttempts allows for plugins of other versions that remove this image right after
// the load. Each of them does that once, after it has loaded its own.
const loadAttempts = 3

func (s store) loadUntilThere(ctx context.Context, api API, archive Archive) error {
	archive, err := s.complete(archive)
	if err != nil {
		return err
	}
	for range loadAttempts {
		if err := load(ctx, api, archive); err != nil {
			return err
		}
		present, err := s.has(ctx, api, archive)
		if err != nil || present {
			return err
		}
	}
	return fmt.Errorf("the engine took the agent image %d times, but does not know it as %s", loadAttempts, archive.Tag)
}

// has says whether the engine has the image. Another image that a user has tagged with
// the same reference does not count.
func (s store) has(ctx context.Context, api API, archive Archive) (bool, error) {
	found, err := api.ImageInspect(ctx, archive.Tag)
	if errdefs.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for the agent image: %w", err)
	}
	return found.Config != nil && found.Config.Labels[s.label] == archive.Labels[s.label], nil
}

func load(ctx context.Context, api API, archive Archive) error {
	content, err := archive.content()
	if err != nil {
		return err
	}
	response, err := api.ImageLoad(ctx, content, client.ImageLoadWithQuiet(true))
	if err != nil {
		return loadError(err)
	}
	err = loadResult(response.Body)
	return loadError(errors.Join(err, response.Body.Close()))
}

// loadMessage is the part of a message in the answer to a load that reports an error.
// The engine sends it after the status 200.
type loadMessage struct {
	Error  string `json:"error"`
	Detail struct {
		Message string `json:"message"`
	} `json:"errorDetail"`
}

// loadResult reads the engine's messages to the end. Only then does the engine have the
// image.
func loadResult(messages io.Reader) error {
	for decoder := json.NewDecoder(messages); ; {
		var message loadMessage
		err := decoder.Decode(&message)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading the engine's answer: %w", err)
		case message.Detail.Message != "":
			return errors.New(message.Detail.Message)
		case message.Error != "":
			return errors.New(message.Error)
		}
	}
}

// loadError adds what was being done and what to do. Errors inside an answer have no
// type; a full disk is recognized by the kernel's text (strerror of ENOSPC), which is
// never translated.
func loadError(err error) error {
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), "no space left on device"):
		return fmt.Errorf("loading the agent image into the engine: %w: free some space on the engine's disk (`docker system df` shows what uses it)", err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("loading the agent image into the engine: %w", err)
	default:
		return fmt.Errorf("loading the agent image into the engine: %w: check with `docker version` that the engine is still there, and try again", err)
	}
}

// removeOthers removes the agents of other versions, one tag each and never by force:
// the engine refuses to remove an image that has containers. Errors do not matter,
// because the next load tries again.
func (s store) removeOthers(ctx context.Context, api API, current Archive) {
	images, err := api.ImageList(ctx, image.ListOptions{
		Filters: filters.NewArgs(filters.Arg("label", s.label)),
	})
	if err != nil {
		return
	}
	for _, ref := range s.others(images, current) {
		_, _ = api.ImageRemove(ctx, ref, image.RemoveOptions{PruneChildren: true})
	}
}

// others picks the references to remove: only those that ensure made, of the repository
// and the label's value. An image that a user built from an agent has the label too,
// and a user may have added other tags.
func (s store) others(images []image.Summary, current Archive) []string {
	var refs []string
	for _, candidate := range images {
		digest := candidate.Labels[s.label]
		if digest == current.Labels[s.label] {
			continue
		}
		for _, ref := range candidate.RepoTags {
			if familiar(ref) == s.repository+":"+digest {
				refs = append(refs, ref)
			}
		}
	}
	return refs
}

// familiar is a reference without the registry that Podman lists it with. It is empty
// for one that cannot be parsed.
func familiar(ref string) string {
	parsed, err := reference.ParseNormalizedNamed(strings.TrimPrefix(ref, "localhost/"))
	if err != nil {
		return ""
	}
	return reference.FamiliarString(parsed)
}
