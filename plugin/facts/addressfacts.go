package facts

// Facts are what candidates follow from.
type Addresses struct {
	EngineHost       string   // host of a tcp or ssh endpoint; empty for a local engine
	NodeAddress      string   // the engine's own address among its Swarm's nodes, if it is in one
	Desktop          bool     // the engine runs in a VM that Docker Desktop keeps
	NoNetwork        bool     // the server has loopback alone
	HostNetwork      bool     // the server shares the network of the engine's host
	PublishRequested bool     // the server was asked to publish Port
	Port             uint16   // in the container
	Names            []string // the server's name and aliases
	Networks         []Network
	Bindings         []Binding
	Client           []Network // the networks of the container that asks
}
