package keep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
)

// dindRecipe is an engine in a container of another, Docker 28.5, as a CI
// service has it: clients are beside the container and reach it over plain TCP.
func dindRecipe() recipe {
	r := engine28Recipe()
	r.kind, r.slot, r.start = Dind, 8, startDind
	r.version, r.reach = "", reachRemote() // the nested engine is the machine's
	return r
}

const (
	// nestedPort is Docker's registered port for its API without TLS.
	nestedPort = 2375
	// nestedSocket is a socket of the nested engine, in the engine's folder: a
	// test cannot leave its own network namespace as its commands can.
	nestedSocket = "nested/docker.sock"
	nestedName   = "dind"
)

func startDind(ctx context.Context, r *running) error {
	if err := r.enclose(ctx); err != nil {
		return err
	}
	if err := r.startDockerd(ctx); err != nil {
		return err
	}
	address, err := r.startNested(ctx)
	if err != nil {
		return fmt.Errorf("starting the nested engine: %w", err)
	}
	r.registryAddr = r.plan.resolver()
	r.network = r.nestedNetns
	r.Host = "tcp://" + netip.AddrPortFrom(address, nestedPort).String()
	r.Address = address.String()
	r.Netns = r.box.netns()
	r.Socket = "" // the outer engine's, which is not for clients
	r.API = r.path(nestedSocket)
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	return r.awaitPing(ctx)
}

// startNested starts the container and returns its address.
func (r *running) startNested(ctx context.Context) (netip.Addr, error) {
	api, err := client.NewClientWithOpts(client.WithHost("unix://"+r.Socket), client.WithAPIVersionNegotiation())
	if err != nil {
		return netip.Addr{}, err
	}
	defer api.Close() //nolint:errcheck // idle connections only
	if err = loadImage(ctx, api, r.image.Path); err != nil {
		return netip.Addr{}, err
	}
	shared := filepath.Dir(r.path(nestedSocket))
	config := &container.Config{Image: r.image.Tag, Cmd: r.nestedArgs()}
	host := &container.HostConfig{
		Privileged:    true,
		Binds:         []string{shared + ":" + shared},
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyAlways}, // with the outer engine
	}
	created, err := api.ContainerCreate(ctx, config, host, nil, nil, nestedName)
	if err != nil {
		return netip.Addr{}, err
	}
	if err = api.ContainerStart(ctx, created.ID, container.StartOptions{}); err != nil {
		return netip.Addr{}, err
	}
	inspected, err := api.ContainerInspect(ctx, created.ID)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, network := range inspected.NetworkSettings.Networks {
		return netip.ParseAddr(network.IPAddress)
	}
	return netip.Addr{}, errors.New("its container has no network")
}

// nestedNetns is the network namespace of the container.
func (r *running) nestedNetns(ctx context.Context) (string, error) {
	api, err := client.NewClientWithOpts(client.WithHost("unix://"+r.path("docker.sock")), client.WithAPIVersionNegotiation())
	if err != nil {
		return "", err
	}
	defer api.Close() //nolint:errcheck // idle connections only
	inspected, err := api.ContainerInspect(ctx, nestedName)
	if err != nil {
		return "", err
	}
	return r.box.netnsOf(strconv.Itoa(inspected.State.Pid)), nil
}

// nestedArgs gives the nested engine the pool of the outer one, which has no
// use for it.
func (r *running) nestedArgs() []string {
	return []string{
		"-H", fmt.Sprintf("tcp://0.0.0.0:%d", nestedPort), "--tls=false",
		"-H", "unix:///var/run/docker.sock", "-H", "unix://" + r.path(nestedSocket),
		"--bip", r.plan.nested().String(),
		"--default-address-pool", fmt.Sprintf("base=%s,size=%d", r.plan.pool(), poolSize),
		"--dns", r.plan.resolver().String(),
		"--insecure-registry", r.plan.resolver().String() + "/32",
	}
}

// loadImage loads a docker-archive. What fails while it is read is in the answer
// but not in its status, and shows when the image is used.
func loadImage(ctx context.Context, api *client.Client, path string) error {
	archive, err := os.Open(path) //nolint:gosec // made by package enginetest
	if err != nil {
		return err
	}
	defer archive.Close() //nolint:errcheck // read only
	response, err := api.ImageLoad(ctx, archive)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return errors.Join(err, response.Body.Close())
}
