package connection

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

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

// IsRefusal says whether an error is a call that somebody between here and the engine
// forbids. What the call would have made was not made.
func IsRefusal(err error) bool { return errors.As(err, new(*Refusal)) }

// maxWords bounds what is read of a refusal. HAProxy's page has 100 bytes.
const maxWords = 16 << 10

// deniedByPlugin is moby's text (pkg/authorization/authz.go).
var deniedByPlugin = regexp.MustCompile(`authorization denied by plugin ([^\s:]+)`)

// refusalOf returns what a response forbids; nil if it forbids nothing, or if the engine
// itself does. It reads the body of a response with such a status, and puts it back.
func refusalOf(response *http.Response) *Refusal {
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
	return &Refusal{Call: callOf(response.Request), Status: response.StatusCode, Words: words}
}

// wordsOf is what an answer says, in one line: the message of JSON, the text of HTML.
func wordsOf(body []byte) string {
	var answer struct {
		Message string `json:"message"`
	}
	text := string(body)
	switch {
	case json.Unmarshal(body, &answer) == nil && answer.Message != "":
		text = answer.Message
	case bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")):
		text = textOfHTML(body)
	}
	return sentence.Visible(strings.Join(strings.Fields(text), " "))
}

// textOfHTML is what a browser shows of a page; its title if it shows nothing.
func textOfHTML(page []byte) string {
	var title, text strings.Builder
	var inside []atom.Atom // the elements that hold no text to show
	for tokens := html.NewTokenizer(bytes.NewReader(page)); ; {
		kind := tokens.Next()
		switch kind {
		case html.ErrorToken: // the end
			if strings.TrimSpace(text.String()) == "" {
				return title.String()
			}
			return text.String()
		case html.StartTagToken, html.EndTagToken:
			name, _ := tokens.TagName()
			inside = track(inside, atom.Lookup(name), kind == html.StartTagToken)
			text.WriteByte(' ')
		case html.TextToken:
			switch {
			case len(inside) == 0:
				text.Write(tokens.Text())
			case inside[len(inside)-1] == atom.Title:
				title.Write(tokens.Text())
			}
		}
	}
}

// track adds or removes an element that holds no text to show.
func track(inside []atom.Atom, element atom.Atom, begins bool) []atom.Atom {
	switch {
	case element != atom.Title && element != atom.Style && element != atom.Script:
		return inside
	case begins:
		return append(inside, element)
	default:
		return inside[:max(0, len(inside)-1)]
	}
}

// callOf is a request as the API's documentation has it, without the API version.
func callOf(request *http.Request) string {
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

// forbidden is the fault of a refusal.
func forbidden(err error, r *Refusal) *report.Fault {
	answer := fmt.Sprintf("%s was answered with %d %s", r.Call, r.Status, http.StatusText(r.Status))
	if words := r.own(); words != "" {
		answer += ": " + words
	}
	fault := &report.Fault{
		Cause:    APIForbidden,
		Evidence: []string{answer},
		Err:      sentence.Of(err, "%s is forbidden at the Docker endpoint (%d)", r.Call, r.Status),
	}
	if plugin := deniedByPlugin.FindStringSubmatch(r.Words); plugin != nil {
		fault.Err = sentence.Of(err, "%s is forbidden by the authorization plugin %s (%d)", r.Call, plugin[1], r.Status)
	}
	fault.Hint = r.hint()
	return fault
}

// own are the answer's words without the status, which HAProxy's page begins with.
func (r *Refusal) own() string {
	words := strings.TrimPrefix(r.Words, fmt.Sprintf("%d %s", r.Status, http.StatusText(r.Status)))
	return strings.TrimSpace(words)
}

// hint says how to have the call allowed, and others.
func (r *Refusal) hint(others ...string) string {
	calls := append([]string{r.Call}, others...)
	const few = 2
	if len(calls) > few && deniedByPlugin.MatchString(r.Words) {
		calls = []string{"these calls"}
	}
	if plugin := deniedByPlugin.FindStringSubmatch(r.Words); plugin != nil {
		return fmt.Sprintf("have the policy of the authorization plugin %s allow %s for this user", plugin[1], strings.Join(calls, ", "))
	}
	return AllowHint(calls...)
}

// explainRefusals turns a refusal into a fault; of joined errors, such as those of a run
// and of its clean-up, each one that is a refusal and no fault yet. More, which may be
// nil, adds to it what else is forbidden.
func explainRefusals(err error, more func(*report.Fault, *Refusal)) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		parts := slices.Clone(joined.Unwrap())
		for i, part := range parts {
			parts[i] = explainRefusals(part, more)
		}
		return errors.Join(parts...)
	}
	refusal := new(Refusal)
	if errors.As(err, new(*report.Fault)) || !errors.As(err, &refusal) {
		return err
	}
	fault := forbidden(err, refusal)
	if more != nil {
		more(fault, refusal)
	}
	return fault
}

// addForbidden adds the other calls that are forbidden, so that all can be allowed at
// once.
func addForbidden(fault *report.Fault, refusal *Refusal, tried []TriedCall) {
	var others []string
	for _, t := range tried {
		if t.Refusal != nil && t.Call != refusal.Call {
			others = append(others, t.Call)
		}
	}
	if len(others) == 0 {
		return
	}
	fault.Evidence = append(fault.Evidence, "forbidden too: "+strings.Join(others, ", "))
	fault.Hint = refusal.hint(others...)
}

// AllowHint says how to have the usual proxies of Docker's socket allow some calls. Both
// have a variable for the first part of a path, and POST for every method that is neither
// GET nor HEAD (Tecnativa/docker-socket-proxy, haproxy.cfg; linuxserver/docker-socket-proxy,
// root/templates/haproxy.cfg).
func AllowHint(calls ...string) string {
	var settings []string
	add := func(setting string) {
		if !slices.Contains(settings, setting) {
			settings = append(settings, setting)
		}
	}
	for _, call := range calls {
		_, path, _ := strings.Cut(call, " ")
		part, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		add(strings.ToUpper(strings.TrimPrefix(part, "_")) + "=1")
	}
	if slices.ContainsFunc(calls, func(call string) bool { return !strings.HasPrefix(call, "GET ") && !strings.HasPrefix(call, "HEAD ") }) {
		add("POST=1")
	}
	const few = 2
	allowed := "these calls"
	if len(calls) <= few {
		allowed = strings.Join(calls, " and ")
	}
	return fmt.Sprintf("have the proxy in front of the engine allow %s (docker-socket-proxy: set %s in its environment), or use the engine's own socket",
		allowed, strings.Join(settings, " "))
}
