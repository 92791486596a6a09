package keep

import "context"

// podman6Recipe is Podman 6, beside its clients. It runs on cgroups of version 2 only.
func podman6Recipe() recipe {
	r := podman5Recipe()
	r.kind, r.slot, r.version = Podman6, 20, "6."
	r.bundles = []bundle{wholePodman(Podman6, r.version, "experimental", "sid")}
	r.start = startPodmanOnCgroup2
	return r
}

// showCgroup2 shows the engine's processes a machine that has only cgroups of version 2.
const showCgroup2 = `
umount -lR /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
`

func startPodmanOnCgroup2(ctx context.Context, r *running) error {
	r.onStop(func(context.Context) error { return removePodmanCgroups(r.Dir) })
	if err := r.enclose(ctx); err != nil {
		return err
	}
	if err := r.script(ctx, showCgroup2); err != nil {
		return err
	}
	return r.startPodmanBeside(ctx, "crun")
}
