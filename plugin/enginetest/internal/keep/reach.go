package keep

// About is what there is to know of a kind before it is started.
type About struct {
	Kind    Kind
	Version string // what the engine's version begins with; empty for any
	Reach   Reach
}

// Reach is what is reached of a server whose port 8080 is published at a port of the
// engine's choice, by where it is asked from: an address, and what an HTTP request
// gets there, in the words of the test server's --get. In an address, ADDRESS stands
// for a remote engine's, IP for the container's, GATEWAY for that of its bridge, PORT
// for the published port, and PORT6 for that of IPv6.
type Reach struct {
	Clients    map[string]string // from beside the engine's clients
	Containers map[string]string // from another container
}

// What a request gets.
const (
	answer      = "200 ok"
	refused     = "refused"
	unreachable = "unreachable"
)

// reachBeside is that of an engine whose networks are the clients' machine's.
func reachBeside() Reach {
	return Reach{
		Clients:    map[string]string{"127.0.0.1:PORT": answer, "[::1]:PORT6": answer, "GATEWAY:PORT": answer, "IP:8080": answer},
		Containers: map[string]string{"GATEWAY:PORT": answer},
	}
}

// reachRemote is that of an engine on another machine.
func reachRemote() Reach {
	return Reach{
		Clients:    map[string]string{"127.0.0.1:PORT": refused, "ADDRESS:PORT": answer, "GATEWAY:PORT": unreachable, "IP:8080": unreachable},
		Containers: map[string]string{"GATEWAY:PORT": answer},
	}
}

// reachForwarded is that of an engine in a machine or a namespace of its own, whose
// published ports are forwarded to the clients' localhost.
func reachForwarded() Reach {
	return Reach{
		Clients:    map[string]string{"127.0.0.1:PORT": answer, "[::1]:PORT6": answer, "GATEWAY:PORT": unreachable, "IP:8080": unreachable},
		Containers: map[string]string{"GATEWAY:PORT": answer},
	}
}
