package refusal

import (
	"errors"
	"net/http"
	"slices"

	"golang.org/x/sync/errgroup"
)

// TriedCall is a call that nestprobe needs, tried in a way that changes nothing.
type TriedCall struct {
	Call    string // such as "POST /containers/create"
	For     string // what needs it besides run; empty for what nothing works without
	Refusal *Refusal
	Err     error // why it is not known whether the call is allowed; nil if it is known
}

// nobody can be no container, network or image: such a name begins with a letter or a
// digit (moby, daemon/names; containers/podman, pkg/domain/entities; distribution/reference).
const nobody = "_nestprobe"

// notJSON is a body with which nothing is created: both Docker and Podman parse it first.
const notJSON = "not JSON"

// neededCalls are requests that change nothing on Docker and on Podman: they are for
// objects that cannot exist (404), with a body that cannot be read (400, Podman 500), or
// with an archive that is empty. So an answer of 401 or 403 is about the call itself.
var neededCalls = []struct{ method, path, body, purpose string }{
	{http.MethodGet, "/containers/json?limit=1", "", ""},
	{http.MethodGet, "/containers/" + nobody + "/json", "", ""},
	{http.MethodGet, "/images/" + nobody + "/json", "", ""},
	{http.MethodPost, "/images/load?quiet=1", "", ""},
	{http.MethodPost, "/containers/create", notJSON, ""},
	{http.MethodPost, "/containers/" + nobody + "/attach?logs=0&stream=0", "", ""},
	{http.MethodPost, "/containers/" + nobody + "/wait", "", ""},
	{http.MethodPost, "/containers/" + nobody + "/start", "", ""},
	{http.MethodDelete, "/containers/" + nobody, "", ""},
	{http.MethodGet, "/containers/" + nobody + "/logs?stdout=1&tail=1", "", "the log of a server that exits"},
	{http.MethodGet, "/containers/" + nobody + "/archive?path=/", "", "the authorities that a client trusts, for HTTPS"},
	{http.MethodPut, "/containers/" + nobody + "/archive?path=/", "", "client containers of the user's image"},
	{http.MethodPost, "/images/create?fromImage=" + nobody, "", "images that are not on the engine"},
	{http.MethodPost, "/networks/create", notJSON, "networks that nestprobe makes"},
	{http.MethodDelete, "/networks/" + nobody, "", "networks that nestprobe makes"},
}

// triesAtOnce bounds the connections: over ssh each is a login, of which sshd drops some of
// more than ten at once (MaxStartups, sshd_config(5)).
const triesAtOnce = 4

// TryCalls tries each call that nestprobe needs, some in parallel. It makes and changes
// nothing on the engine. Send sends a request, of which the path has no API version.
func TryCalls(send func(method, path, body string) (*http.Response, error)) []TriedCall {
	tried := make([]TriedCall, len(neededCalls))
	var group errgroup.Group
	group.SetLimit(triesAtOnce)
	for i, n := range neededCalls {
		group.Go(func() error {
			response, err := send(n.method, n.path, n.body)
			tried[i] = TriedCall{Call: n.method + " " + documented(n.path), For: n.purpose, Err: err}
			if errors.As(err, &tried[i].Refusal) {
				tried[i].Err = nil
			}
			if err == nil {
				_ = response.Body.Close() // the status is enough
			}
			return nil
		})
	}
	_ = group.Wait() // its functions return no errors
	return tried
}

// Needed returns the calls without which nothing works.
func Needed(tried []TriedCall) []TriedCall {
	return slices.DeleteFunc(slices.Clone(tried), func(t TriedCall) bool { return t.For != "" })
}
