package listening

// Process reads the sockets of the network namespace of another process of this machine. It
// needs no privilege, but for a /proc that hides the processes of other users.
type Process struct{ PID int }

// Sockets is [Read] for the process.
func (p Process) Sockets() (Listeners, error) { return p.sockets() }

// Traffic returns a TrafficReader for the process. Its Queues are always empty.
func (p Process) Traffic() *TrafficReader { return &TrafficReader{read: p.readTraffic} }
