package meaning

import (
	"fmt"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
)

// member adds a container on a network to the engine, with an alias there.
func (e *engineOf) member(id, on, alias, project, state, host string) {
	labels := map[string]string{LabelProject: project, LabelService: alias}
	if project == "" {
		labels = nil
	}
	e.summaries = append(e.summaries, container.Summary{
		ID: id, Names: []string{"/" + id}, State: state, Labels: labels,
		NetworkSettings: &container.NetworkSettingsSummary{Networks: map[string]*network.EndpointSettings{on: {}}},
	})
	e.containers[id] = []string{fmt.Sprintf(`{"Id": %q, "Name": "/%[1]s", "State": {"Status": %[4]q}, "HostConfig": {%[6]s},
		"Config": {"Labels": {"com.docker.compose.project": %[5]q}}, "NetworkSettings": {"Networks": {%[2]q: {"Aliases": [%[3]q]}}}}`, id, on, alias, state, project, host)}
}

// With --from, a name means what it means to that client.
func TestFindFor(t *testing.T) {
	t.Parallel()
	e := &engineOf{containers: map[string][]string{}}
	e.member("db", "theirs", "x", "", "running", "")
	e.member("own", "ours", "db", "", "running", "")
	e.member("client", "ours", "client", "one", "running", "")
	e.member("cache-1", "others", "cache", "one", "exited", "")
	e.member("cache-2", "theirs", "cache", "two", "running", "")
	e.member("only-theirs", "theirs", "only", "", "running", "")
	e.member("linked", "bridge", "linked", "", "running", `"Links": ["/only-theirs:/linked/store"]`)
	for name, test := range map[string]struct {
		from, name string
		want       string // the container, or the error
		meaning    string
	}{
		"another container has it as its name":  {"client", "db", "own", "to container client, db is container own, by a name on its networks"},
		"case, the network, and a dot":          {"client", "DB.ours.", "own", ""},
		"from a network":                        {"network:ours", "db", "own", "to network ours, db is container own"},
		"from this machine":                     {"host", "db", "db", ""},
		"the stopped one of its own project":    {"client", "cache", "cache-1", ""},
		"unknown to the client":                 {"client", "only", "only-theirs", ""},
		"a link":                                {"linked", "store", "only-theirs", "to container linked, store is container only-theirs, by a link"},
		"nobody":                                {"client", "nobody", "there is no container or service nobody", ""},
		"a client that does not exist":          {"gone", "db", "db", ""},
		"several, if the client is in no place": {"linked", "cache", "cache-2", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := NewResolver(engine.Engine{API: e}, e, Query{Container: test.name, From: []string{test.from}})
			found, err := r.FindFor(t.Context(), test.name)
			if err != nil {
				assert.Check(t, is.ErrorContains(err, test.want))
				return
			}
			assert.Check(t, is.Equal(found.ID, test.want))
			assert.Check(t, is.Contains(r.Text, test.meaning))
		})
	}
}
