package facts

// Addresses is what the candidates, the addresses to try, follow from.
type Addresses struct {
	EngineHost       string   // host of a tcp or ssh endpoint; empty for a local engine
	NodeAddress      string   // the engine's own address among the nodes of its Swarm; empty without a Swarm
	Desktop          bool     // the engine runs in the VM of Docker Desktop
	NoNetwork        bool     // the server has only loopback
	HostNetwork      bool     // the server shares the network of the engine's host
	PublishRequested bool     // the server was started with Port to be published
	Port             uint16   // in the container
	Names            []string // the server's name and aliases
	Networks         []Network
	Bindings         []Binding
	Client           []Network // the networks of the container that the probes come from
}
