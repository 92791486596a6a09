package keep

import (
	"context"
	"fmt"
	"net/netip"
	"os"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/internal/certs"
)

// toolboxRecipe is what Docker Toolbox looked like: an engine in a machine of
// its own, reached over TCP with TLS, whose containers have no route from here.
func toolboxRecipe() recipe {
	return recipe{
		kind:     Toolbox,
		reach:    reachRemote(),
		slot:     1,
		programs: []string{"dockerd", "containerd", "runc", "docker-proxy", "iptables"},
		start:    startToolbox,
	}
}

// tlsPort is Docker's registered port for its API over TLS.
const tlsPort = 2376

func startToolbox(ctx context.Context, r *running) error {
	clientDir, serverDir := r.path("certs"), r.path("server-certs")
	for _, dir := range []string{clientDir, serverDir} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return fmt.Errorf("making the certificates' folder: %w", err)
		}
	}
	if err := r.enclose(ctx); err != nil {
		return err
	}
	if err := r.linkUp(); err != nil {
		return err
	}
	address := r.plan.inside()
	if err := certs.Write(serverDir, clientDir, nil, []netip.Addr{address}); err != nil {
		return err
	}
	r.Address = address.String()
	r.Host = "tcp://" + netip.AddrPortFrom(address, tlsPort).String()
	r.CertDir = clientDir
	return r.startDockerd(ctx,
		"--host", r.Host,
		"--tlsverify",
		"--tlscacert", serverDir+"/ca.pem",
		"--tlscert", serverDir+"/cert.pem",
		"--tlskey", serverDir+"/key.pem",
	)
}
