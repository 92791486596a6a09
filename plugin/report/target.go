package report

// Target is what diagnose knows of its TARGET, and of the places that it probed from. Only
// the table shows it: programs have the servers, checks and probes.
type Target struct {
	Name     string   // as the user has written it, with the port; empty without a TARGET
	Address  bool     // the user has given an address of the server instead of its name, or a URL that a container is to request
	Meaning  string   // what it was taken for; empty if that is plain
	State    string   // of the container: the result of its health check, or running, exited, …; empty for the engine's host
	OnHost   bool     // it is on the network of the engine's host
	Networks []string // on which the server is, with what is special about them
	Listens  []string // the addresses on which something listens on its port; empty if that is not known, too
	Places   []Place
}

// Place is a place that diagnose probed from.
type Place struct {
	Vantage  string   // as in Probe
	Name     string   // in words: host, six, network front
	Typed    string   // the address that the user has typed, as host:port; empty if that is none here
	OnHost   bool     // on the network of the engine's host
	Apart    bool     // a container that is on no network of the server
	Networks []string // of a container of the user's, as in Target
}
