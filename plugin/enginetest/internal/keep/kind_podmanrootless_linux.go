package keep

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// podmanRootlessRecipe is Podman 4.3 of an ordinary user, beside its clients:
// they are in the network namespace in which rootlessport listens for published
// ports. Podman makes another one for its containers, behind slirp4netns, with
// the first of them, and takes it down with the last.
func podmanRootlessRecipe() recipe {
	return recipe{
		kind:    PodmanRootless,
		version: podmanVersion,
		// Podman forwards ports in the namespace of its networks too.
		reach: Reach{
			Clients:    map[string]string{"127.0.0.1:PORT": answer, "[::1]:PORT": answer, "GATEWAY:PORT": unreachable, "IP:8080": unreachable},
			Containers: map[string]string{"GATEWAY:PORT": answer, "10.231.9.53:PORT": answer},
		},
		slot:     9,
		programs: []string{"apt-get", "dpkg", "nsenter", "setpriv", "runc", "iptables"},
		bundles:  []bundle{podmanBundle(), rootlessBundle()},
		start:    startPodmanRootless,
	}
}

// userRun makes the runtime folder of a user's session (XDG Base Directory
// Specification), where a login would make it.
const userRun = `
mkdir -p %[1]s
chown %[2]d:%[2]d %[1]s
chmod 700 %[1]s
`

func startPodmanRootless(ctx context.Context, r *running) error {
	if err := r.enclose(ctx); err != nil {
		return err
	}
	return r.startPodmanOfUser(ctx)
}

func (r *running) startPodmanOfUser(ctx context.Context) error {
	asUser, err := r.makeUser(ctx)
	if err != nil {
		return err
	}
	place := podmanPlace{dir: r.path("user"), run: fmt.Sprintf("/run/user/%d", rootlessUID)}
	if err = r.script(ctx, fmt.Sprintf(userRun, place.run, rootlessUID)); err != nil {
		return err
	}
	if err := r.hidePackages(ctx); err != nil {
		return err
	}
	env, err := r.configurePodman(place, "runc")
	if err != nil {
		return err
	}
	for _, dir := range []string{"home", "home/.config", "home/.config/containers"} {
		if err := os.Chown(place.path(dir), rootlessUID, rootlessUID); err != nil {
			return err
		}
	}
	r.podmanService(place, append(env, "XDG_RUNTIME_DIR="+place.run), asUser...)
	r.network = func(context.Context) (string, error) {
		return "", errors.New("a rootless Podman 4.3 has no network namespace while no container runs, " +
			"and makes another one for the next container: an interface in it would not stay")
	}
	// It starts itself again in a user namespace. The first process is to pass on
	// signals to the second, but was seen to end without doing so.
	r.daemon.both = true
	return r.startDaemon(ctx)
}
