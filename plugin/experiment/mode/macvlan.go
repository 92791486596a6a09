package mode

// macvlan gives a container a MAC address of its own on its parent's network.
// Without a parent, engines make one that leads nowhere.
func macvlan() Mode {
	return Mode{
		Name:    "macvlan",
		About:   "a MAC address of its own on the network of --parent",
		Alone:   Parent,
		Connect: onParent("macvlan", nil),
	}
}
