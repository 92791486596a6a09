//go:build linux

package self

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/facts"
)

// fakeAPI is an engine that has some containers. Real ones cannot be made to refuse an
// inspection, or to lose the traces of who shares a network.
type fakeAPI struct {
	API

	containers map[string]container.InspectResponse
	refuses    error
	inspected  []string
	listed     bool
}

func (f *fakeAPI) ContainerInspect(_ context.Context, id string) (container.InspectResponse, error) {
	f.inspected = append(f.inspected, id)
	if f.refuses != nil {
		return container.InspectResponse{}, f.refuses
	}
	found, ok := f.containers[id]
	if !ok {
		return found, errdefs.ErrNotFound
	}
	return found, nil
}

func (f *fakeAPI) ContainerList(context.Context, container.ListOptions) ([]container.Summary, error) {
	f.listed = true
	var all []container.Summary
	for id, c := range f.containers {
		summary := container.Summary{ID: id}
		summary.HostConfig.NetworkMode = string(c.HostConfig.NetworkMode)
		all = append(all, summary)
	}
	return all, nil
}

func (f *fakeAPI) NetworkInspect(context.Context, string, network.InspectOptions) (network.Inspect, error) {
	return network.Inspect{Driver: "bridge", Containers: map[string]network.EndpointResource{
		"1": {Name: "socket-proxy", IPv4Address: "172.20.0.7/16"},
	}}, nil
}

// running is a container with a network mode and an address, if that is not empty.
func running(id, name, mode, ip string, mounts ...string) container.InspectResponse {
	c := container.InspectResponse{
		ContainerJSONBase: &container.ContainerJSONBase{ID: id, Name: "/" + name, HostConfig: &container.HostConfig{NetworkMode: container.NetworkMode(mode)}},
		NetworkSettings:   &container.NetworkSettings{Networks: map[string]*network.EndpointSettings{}},
	}
	if ip != "" {
		c.NetworkSettings.Networks["front"] = &network.EndpointSettings{IPAddress: ip}
	}
	for _, at := range mounts {
		c.Mounts = append(c.Mounts, container.MountPoint{Destination: at})
	}
	return c
}

func withUpper(c container.InspectResponse, upper string) container.InspectResponse {
	c.GraphDriver.Data = map[string]string{"UpperDir": upper}
	return c
}

func TestFind(t *testing.T) {
	const here = "172.20.0.5"
	socket := "/var/run/docker.sock"
	for name, test := range map[string]struct {
		signs      signs
		containers []container.InspectResponse
		refuses    error

		want    string // its name and kind of network
		err     string
		listed  bool
		noCalls bool
	}{
		"known by its control group": {
			signs:      signs{own: []string{one}, network: []string{one}},
			containers: []container.InspectResponse{running(one, "job", "front", here)},
			want:       "job own",
		},
		"known by its files, and its root": {
			signs:      signs{network: []string{one}, upper: "/ab/diff"},
			containers: []container.InspectResponse{withUpper(running(one, "job", "front", here), "/ab/diff")},
			want:       "job own",
		},
		"on the network of the host": {
			signs:      signs{network: []string{one}, upper: "/ab/diff"},
			containers: []container.InspectResponse{withUpper(running(one, "job", "host", ""), "/ab/diff")},
			want:       "job host",
		},
		"shares a network, by its control group": {
			signs: signs{own: []string{one}, network: []string{two}},
			containers: []container.InspectResponse{
				running(one, "side", "container:"+two, ""), running(two, "app", "front", here),
			},
			want: "side shared",
		},
		"shares a network, by its root": {
			signs: signs{network: []string{two}, upper: "/ab/diff"},
			containers: []container.InspectResponse{
				withUpper(running(one, "side", "container:"+two, ""), "/ab/diff"),
				withUpper(running(two, "app", "front", here), "/cd/diff"),
				withUpper(running(three, "other", "container:"+two, ""), "/ef/diff"),
			},
			want: "side shared", listed: true,
		},
		"shares a network, by its mounts": {
			signs: signs{network: []string{two}, mounted: []string{"/", "/run/docker.sock"}},
			containers: []container.InspectResponse{
				running(one, "side", "container:"+two, "", socket),
				running(two, "app", "front", here),
				running(three, "other", "container:"+two, "", socket, "/data"),
			},
			want: "side shared", listed: true,
		},
		"shares the network of the host with another one": {
			signs: signs{own: []string{one}, network: []string{two}},
			containers: []container.InspectResponse{
				running(one, "side", "container:"+two, ""), running(two, "app", "host", ""),
			},
			want: "side host",
		},
		"in another network namespace than its container": {
			signs:      signs{own: []string{one}},
			containers: []container.InspectResponse{running(one, "job", "front", "172.20.0.9")},
		},
		"a container within a container, of another engine": {
			signs:      signs{own: []string{one}, network: []string{three}},
			containers: []container.InspectResponse{running(one, "outer", "front", here)},
		},
		"not known":       {signs: signs{own: []string{one}, network: []string{two}}},
		"only a mark":     {signs: signs{marked: true}, noCalls: true},
		"not to be asked": {signs: signs{own: []string{one}}, refuses: errors.New("forbidden"), err: "forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			api := &fakeAPI{containers: map[string]container.InspectResponse{}, refuses: test.refuses}
			for _, c := range test.containers {
				api.containers[c.ID] = c
			}
			resolve := func(path string) (string, error) { return strings.Replace(path, "/var/run", "/run", 1), nil }
			f := finder{API: api, signs: test.signs, addresses: []netip.Addr{netip.MustParseAddr(here)}, resolve: resolve}
			found, err := f.find(t.Context())
			got := ""
			if found != nil {
				got = facts.ContainerName(found.Inspection) + " " + string(networkOf(found))
			}
			assert.Equal(t, got, test.want)
			if test.err == "" {
				assert.NilError(t, err)
			} else {
				assert.ErrorContains(t, err, test.err)
			}
			assert.Equal(t, api.listed, test.listed)
			assert.Equal(t, len(api.inspected) == 0, test.noCalls)
		})
	}
}

// Without a sign the engine is not called: there is none here.
func TestNoCallsWithoutSigns(t *testing.T) {
	found, err := findBy(t.Context(), nil, Endpoint{Socket: "/nowhere"}, nil, signs{})
	assert.NilError(t, err)
	assert.Assert(t, found == nil)
}

// A container that the engine does not know is none of its own, unless the engine runs here.
func TestForeign(t *testing.T) {
	found, err := findBy(t.Context(), &fakeAPI{}, Endpoint{Host: "host.invalid"}, nil, signs{own: []string{one}})
	assert.NilError(t, err)
	assert.Assert(t, found.Foreign())
	assert.Equal(t, found.ID, one)
	assert.Equal(t, found.Report().Vantage(), "container")

	here, err := findBy(t.Context(), &fakeAPI{}, Endpoint{Host: "127.0.0.1"}, nil, signs{own: []string{one}})
	assert.NilError(t, err)
	assert.Assert(t, here == nil, "%+v", here)
	assert.Equal(t, here.Report().Vantage(), "host")
}

// An endpoint that is a container on the same network is no host of the engine.
func TestEndpointInContainer(t *testing.T) {
	client := facts.ReadContainer(running(one, "job", "front", "172.20.0.5"), 0)
	for host, want := range map[string]string{"172.20.0.7": "socket-proxy", "172.20.0.1": "", "": ""} {
		name, err := Endpoint{Host: host}.container(t.Context(), facts.NewNetworkCache(&fakeAPI{}, nil), client)
		assert.NilError(t, err)
		assert.Equal(t, name, want, host)
		assert.Equal(t, (&facts.Self{Endpoint: name}).EndpointInContainer(), want != "")
	}
	assert.Assert(t, !(*facts.Self)(nil).EndpointInContainer())
}

func TestOnEngine(t *testing.T) {
	self := &facts.Self{Client: &facts.ClientContainer{}}
	for _, m := range [][2]string{{"/srv/run", "/var/run"}, {"/opt/docker.sock", "/var/run/docker.sock"}, {"/srv/data", "/data"}} {
		self.Client.Inspection.Mounts = append(self.Client.Inspection.Mounts, container.MountPoint{Source: m[0], Destination: m[1]})
	}
	resolve := func(path string) (string, error) { return strings.Replace(path, "/var/run", "/run", 1), nil }
	for file, want := range map[string]string{
		"/var/run/docker.sock": "/opt/docker.sock",
		"/run/docker.sock":     "/opt/docker.sock",
		"/run/podman.sock":     "/srv/run/podman.sock",
		"/data":                "/srv/data",
		"/database":            "",
		"/tmp/docker.sock":     "",
	} {
		assert.Equal(t, self.OnEngine(file, resolve), want, file)
	}
	assert.Equal(t, (*facts.Self)(nil).OnEngine("/run/docker.sock", resolve), "/run/docker.sock")
	assert.Equal(t, (&facts.Self{}).OnEngine("/run/docker.sock", resolve), "")
}
