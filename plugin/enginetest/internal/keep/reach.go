package keep

// About is what is known of a kind before it is started.
type About struct {
	Kind    Kind
	Version string // what the engine's version begins with; empty for any
	Reach   Reach
}

// Reach says at which addresses a server is reached whose port 8080 is published at a port
// of the engine's choice, by where the request comes from. It maps an address to what an
// HTTP request gets there, in the words of the test server's --get. In an address, ADDRESS
// stands for a remote engine's, IP for the container's, GATEWAY for that of its bridge,
// PORT for the published port, and PORT6 for that of IPv6.
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

// reachBeside is for an engine whose networks are on the clients' machine.
func reachBeside() Reach {
	return Reach{
		Clients:    map[string]string{"127.0.0.1:PORT": answer, "[::1]:PORT6": answer, "GATEWAY:PORT": answer, "IP:8080": answer},
		Containers: map[string]string{"GATEWAY:PORT": answer},
	}
}

// reachRemote is for an engine on another machine.
func reachRemote() Reach {
	return Reach{
		Clients:    map[string]string{"127.0.0.1:PORT": refused, "ADDRESS:PORT": answer, "GATEWAY:PORT": unreachable, "IP:8080": unreachable},
		Containers: map[string]string{"GATEWAY:PORT": answer},
	}
}

// reachForwarded is for an engine in a virtual machine or another namespace, whose
// published ports are forwarded to the clients' localhost.
func reachForwarded() Reach {
	return Reach{
		Clients:    map[string]string{"127.0.0.1:PORT": answer, "[::1]:PORT6": answer, "GATEWAY:PORT": unreachable, "IP:8080": unreachable},
		Containers: map[string]string{"GATEWAY:PORT": answer},
	}
}
