package keep

import "context"

// debianRecipe is an older or newer dockerd out of Debian packages. The machine's own
// runc runs its containers: theirs may need a newer C library.
func debianRecipe(kind Kind, slot int, suite, version string) recipe {
	return recipe{
		kind:     kind,
		version:  version,
		reach:    reachBeside(),
		slot:     slot,
		programs: []string{"apt-get", "dpkg", "nsenter", "runc", "iptables"},
		bundles: []bundle{{
			name:     string(kind),
			suite:    suite,
			packages: []string{"docker.io", "containerd"},
			version:  version,
		}},
		start: beside(),
	}
}

func engine26Recipe() recipe { return debianRecipe(Engine26_1, 3, "trixie", "26.1.") }

func engine28Recipe() recipe { return debianRecipe(Engine28_5, 4, "sid", "28.5.") }

// beside starts an engine, with more arguments than all get, whose clients are
// beside it, as on a Linux machine: they share its network namespace.
func beside(args ...string) func(context.Context, *running) error {
	return func(ctx context.Context, r *running) error {
		if err := r.enclose(ctx); err != nil {
			return err
		}
		return r.startBeside(ctx, args...)
	}
}

func (r *running) startBeside(ctx context.Context, args ...string) error {
	if err := r.startDockerd(ctx, args...); err != nil {
		return err
	}
	r.Host = "unix://" + r.Socket
	r.Netns = r.box.netns()
	return nil
}
