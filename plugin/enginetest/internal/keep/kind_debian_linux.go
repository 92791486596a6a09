package keep

import "context"

// debianRecipe is a newer dockerd out of Debian packages. The machine's own
// runc runs its containers: theirs may need a newer C library.
func debianRecipe(kind Kind, slot int, suite, version string) recipe {
	return recipe{
		kind:     kind,
		slot:     slot,
		programs: []string{"apt-get", "dpkg", "nsenter", "runc", "iptables"},
		bundle: bundle{
			name:     string(kind),
			suite:    suite,
			packages: []string{"docker.io", "containerd"},
			version:  version,
		},
		start: startBeside,
	}
}

func engine26Recipe() recipe { return debianRecipe(Engine26_1, 3, "trixie", "26.1.") }

func engine28Recipe() recipe { return debianRecipe(Engine28_5, 4, "sid", "28.5.") }

// startBeside starts an engine whose clients are beside it, as on a Linux
// machine: they share its network namespace.
func startBeside(ctx context.Context, r *running) error {
	if err := r.enclose(ctx); err != nil {
		return err
	}
	if err := r.startDockerd(ctx); err != nil {
		return err
	}
	r.Host = "unix://" + r.Socket
	r.Netns = r.box.netns()
	return nil
}
