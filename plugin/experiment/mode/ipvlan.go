package mode

// ipvlanL2 gives a container an address of its own on its parent's network, with
// the parent's MAC address.
func ipvlanL2() Mode {
	return Mode{
		Name:    "ipvlan-l2",
		About:   "an address of its own on the network of --parent",
		Alone:   Parent,
		Connect: onParent("ipvlan", map[string]string{"ipvlan_mode": "l2"}),
	}
}

// ipvlanL3 routes between its parent's network and the containers.
func ipvlanL3() Mode {
	return Mode{
		Name:    "ipvlan-l3",
		About:   "routed from the network of --parent",
		Alone:   Parent,
		Connect: onParent("ipvlan", map[string]string{"ipvlan_mode": "l3"}),
	}
}
