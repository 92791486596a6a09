package mode

// host is the network of the engine's host itself. Its servers would be in each
// other's way on one port, but there is one server a mode.
func host() Mode {
	return Mode{
		Name:    "host",
		About:   "the network of the engine's host",
		Connect: named("host"),
	}
}
