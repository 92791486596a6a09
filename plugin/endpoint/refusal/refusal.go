// Package refusal knows calls of the Docker API that are forbidden: by a proxy before the
// engine's socket, or by an authorization plugin of the engine. It finds them in the
// engine's answers, explains them, and has the calls that nestprobe needs.
//
// The connection uses it. It must not open connections itself.
package refusal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// APIForbidden is the cause of a refusal.
const APIForbidden report.Cause = "api-forbidden"

// Refusal is a call of the Docker API that somebody between this process and the engine
// forbids: a proxy, or an authorization plugin of the engine. The engine's own answers
// with such a status, such as those about a predefined network or a registry, are none:
// the engine puts its API version into them (moby, api/server/middleware/version.go).
type Refusal struct {
	Call   string // such as "POST /containers/create"
	Status int    // 401 or 403
	Words  string // of the answer, in one line; empty if it has none
}

// Error is short and without the answer's words: docker's client looks for words in the
// errors of its transport.
func (r *Refusal) Error() string {
	return fmt.Sprintf("%s: %d %s", r.Call, r.Status, http.StatusText(r.Status))
}

// Forbidden makes it a permission-denied error of package errdefs.
func (*Refusal) Forbidden() {}

// Is says whether an error is a call that somebody between here and the engine
// forbids. What the call would have made was not made.
func Is(err error) bool { return errors.As(err, new(*Refusal)) }

// maxWords bounds what is read of a refusal. HAProxy's page has 100 bytes.
const maxWords = 16 << 10

// deniedByPlugin is moby's text (pkg/authorization/authz.go).
var deniedByPlugin = regexp.MustCompile(`authorization denied by plugin ([^\s:]+)`)

// Of returns what a response forbids; nil if it forbids nothing, or if the engine
// itself does. It reads the body of a response with such a status, and puts it back.
func Of(response *http.Response) *Refusal {
	if response.StatusCode != http.StatusUnauthorized && response.StatusCode != http.StatusForbidden {
		return nil
	}
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxWords)) // shown as far as it came
	rest := response.Body
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), rest), rest}
	words := wordsOf(body)
	if response.Header.Get("Api-Version") != "" && !deniedByPlugin.MatchString(words) {
		return nil
	}
	return &Refusal{Call: CallOf(response.Request), Status: response.StatusCode, Words: words}
}
