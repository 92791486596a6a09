package endpoint

import (
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
)

// headersVariable holds HTTP headers for every request to the engine, as a line
// of CSV with key=value fields (docker/cli, cli/command/cli_options.go, where it
// is unexported). It replaces HttpHeaders of config.json.
const headersVariable = "DOCKER_CUSTOM_HEADERS"

// customHeaders returns the headers that the docker CLI would send: those of
// the environment, or else those of its configuration file.
func customHeaders(configured map[string]string) (map[string]string, error) {
	value := os.Getenv(headersVariable)
	if value == "" {
		return configured, nil
	}
	fields, err := csv.NewReader(strings.NewReader(value)).Read()
	if err != nil {
		return nil, errors.New("the value is not a line of comma-separated key=value pairs")
	}
	headers := make(map[string]string, len(fields))
	for i, field := range fields {
		key, content, found := strings.Cut(field, "=")
		key = strings.TrimSpace(key)
		if key == "" || !found {
			// The field itself may be a credential, so it is counted, not shown.
			return nil, fmt.Errorf("field %d is not of the form key=value", i+1)
		}
		headers[http.CanonicalHeaderKey(key)] = content
	}
	return headers, nil
}
