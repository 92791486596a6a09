package keep

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netns"
)

// registryBundle is Debian's docker-registry, the reference implementation.
func registryBundle() bundle {
	return bundle{name: "registry", suite: "bookworm", packages: []string{"docker-registry"}, version: "2."}
}

// registryPort is the registry's port in namespaces of engines, where nothing
// else listens. On the machine itself a free one is taken.
const registryPort = 5000

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

const registryConfig = `version: 0.1
log: {level: info}
storage:
  filesystem: {rootdirectory: %q}
  delete: {enabled: true}
http: {addr: %q}
`

// startRegistry starts a registry once, where the engine and clients beside it
// reach it at the same address: on the loopback interface of both. Engines take
// 127.0.0.0/8 for registries without TLS.
func (r *running) startRegistry(ctx context.Context) (string, error) {
	r.registryOnce.Do(func() {
		starting, cancel := context.WithTimeout(context.WithoutCancel(ctx), startWait)
		defer cancel()
		r.registry, r.registryErr = r.newRegistry(starting)
	})
	return r.registry, r.registryErr
}

func (r *running) newRegistry(ctx context.Context) (string, error) {
	root, err := registryBundle().fetch(ctx)
	if err != nil {
		return "", err
	}
	box, address, err := r.registryPlace(ctx)
	if err != nil {
		return "", err
	}
	config := r.path("registry.yml")
	text := fmt.Sprintf(registryConfig, r.path("registry"), address)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("configuring the registry: %w", err)
	}
	registry := process{
		name: "docker-registry",
		argv: []string{filepath.Join(root, "usr/bin/docker-registry"), "serve", config},
		env:  []string{"OTEL_TRACES_EXPORTER=none"},
		log:  r.path("registry.log"),
	}
	if err := box.start(ctx, registry); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	dial := func(ctx context.Context) (net.Conn, error) { return dialInside(ctx, box, address) }
	if err := awaitHTTP(ctx, dial); err != nil {
		return "", fmt.Errorf("the registry does not answer: %w; the end of its log:\n%s", err, Tail(registry.log))
	}
	return address, nil
}

// registryPlace is where the registry runs: in the engine's namespaces, or, for
// the machine's engine, in the machine's network.
func (r *running) registryPlace(ctx context.Context) (*sandbox, string, error) {
	if r.registryAddr.IsValid() {
		return r.box, netip.AddrPortFrom(r.registryAddr, registryPort).String(), nil
	}
	if r.box != nil {
		return r.box, netip.AddrPortFrom(loopback, registryPort).String(), nil
	}
	box, err := newSandbox(r.Dir, false)
	if err != nil {
		return nil, "", err
	}
	r.onStop(func(context.Context) error { return box.close() })
	address, err := freeAddress(ctx)
	return box, address, err
}

// freeAddress is a loopback address that was free a moment ago: the registry cannot
// take over an open socket.
func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

// dialInside connects from the network namespace of a sandbox.
func dialInside(ctx context.Context, box *sandbox, address string) (net.Conn, error) {
	target, err := netns.GetFromPath(box.netns())
	if err != nil {
		return nil, err
	}
	defer target.Close() //nolint:errcheck // a descriptor
	var conn net.Conn
	err = inNamespace(target, func() error {
		// A literal IPv4 address is dialled on this very thread.
		var dialer net.Dialer
		conn, err = dialer.DialContext(ctx, "tcp4", address)
		return err
	})
	return conn, err
}

// missingPrograms are those of all kinds that the machine lacks.
func missingPrograms() []string {
	var missing []string
	seen := map[string]bool{}
	for _, recipe := range recipes() {
		for _, name := range recipe.programs {
			if _, err := LookPath(name); err != nil && !seen[name] {
				missing = append(missing, name)
			}
			seen[name] = true
		}
	}
	return missing
}

func joined(list []string) string { return strings.Join(list, " ") }
