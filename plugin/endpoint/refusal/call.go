package refusal

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// CallOf is a request as the API's documentation has it, without the API version.
func CallOf(request *http.Request) string {
	return request.Method + " " + documented(versionPrefix.ReplaceAllString(request.URL.Path, "/"))
}

// documented is a path without a query, and with {id} or {name} for what it is about.
func documented(path string) string {
	path, _, _ = strings.Cut(path, "?")
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if len(parts) < 2 || slices.Contains(fixedParts, parts[1]) {
		return path
	}
	switch parts[0] {
	case "containers", "networks", "services", "nodes":
		parts[1] = "{id}"
	case "images": // names have slashes
		parts = []string{parts[0], "{name}", parts[len(parts)-1]}
	}
	return "/" + strings.Join(parts, "/")
}

var versionPrefix = regexp.MustCompile(`^/v\d+\.\d+/`)

// fixedParts stand in paths where otherwise the name of an object stands.
var fixedParts = []string{"create", "json", "load", "prune"}
