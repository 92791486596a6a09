package mode

// none is loopback alone.
func none() Mode {
	return Mode{
		Name:    "none",
		About:   "no network but loopback",
		Connect: named("none"),
	}
}
