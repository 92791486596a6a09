// Package report holds the Report, the one value that every command results
// in. Every format (see the package render below it) is a pure rendering of a
// Report, and the agent passes Reports to the plugin as JSON, so this package
// must not know of docker/cli.
package report

import (
	"time"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// SchemaVersion is the version of the JSON document; it grows when a key
// changes its meaning or disappears, not when one is added.
const SchemaVersion = 1

// Report is what a command measured.
type Report struct {
	SchemaVersion int       `json:"schemaVersion"`
	Command       string    `json:"command"`
	OK            bool      `json:"ok"`
	Error         string    `json:"error"`
	Endpoint      Endpoint  `json:"endpoint"`
	Checks        []Check   `json:"checks"`
	Accesses      []Access  `json:"accesses"`
	Nodes         []Node    `json:"nodes"`
	Modes         []Mode    `json:"modes"`
	Servers       []Server  `json:"servers"`
	Probes        []Probe   `json:"probes"`
	Best          []Best    `json:"best"`
	Findings      []Finding `json:"findings"`
	Timings       Timings   `json:"timings"`
}

// Endpoint is the Docker API that was used.
type Endpoint struct {
	Context   string `json:"context"`
	Host      string `json:"host"`
	Transport string `json:"transport"` // unix, npipe, tcp or ssh
	TLS       bool   `json:"tls"`
	Engine    Engine `json:"engine"`
}

// Engine is the daemon behind an endpoint.
type Engine struct {
	Product    string `json:"product"`
	Version    string `json:"version"`
	APIVersion string `json:"apiVersion"`
	OS         string `json:"os"`
	Arch       string `json:"arch"`
	Rootless   bool   `json:"rootless"`
	Desktop    bool   `json:"desktop"`
}

// Check is one thing that diagnose looked at.
type Check struct {
	Context  string      `json:"context"` // the context it is about; empty for the command's own
	Category string      `json:"category"`
	Name     string      `json:"name"`
	Result   CheckResult `json:"result"`
	Detail   string      `json:"detail"` // what was seen, or why it was skipped or decides nothing
	Cause    Cause       `json:"cause"`  // of a warning or failure
}

// CheckResult is what became of a check.
type CheckResult string

// The results of a check.
const (
	CheckPass         CheckResult = "pass"
	CheckWarning      CheckResult = "warning"
	CheckFailure      CheckResult = "failure"
	CheckSkipped      CheckResult = "skipped"
	CheckInconclusive CheckResult = "inconclusive"
	CheckCrashed      CheckResult = "crashed" // the check itself failed, which says nothing about what it looks at
)

// Names of checks that stand for a whole context where it has one line.
const (
	CheckOfEndpoint = "endpoint"
	CheckOfEngine   = "engine"
)

// Access is one way in which a client container was given the Docker API.
type Access struct {
	Method string `json:"method"`
	OK     bool   `json:"ok"`
	Cause  Cause  `json:"cause"`
	Detail string `json:"detail"`
}

// Node is one node of a Swarm.
type Node struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Address string `json:"address"` // its own among the nodes
	State   string `json:"state"`   // as docker node ls has it: ready, down, …
	Manager bool   `json:"manager"`
}

// Mode is what became of one network mode of --networks.
type Mode struct {
	Name   string     `json:"name"`
	Result ModeResult `json:"result"`
	Cause  Cause      `json:"cause"`  // of what is not reached; empty if all is, or if it is not known
	Detail string     `json:"detail"` // in words; where the engine cannot do it, the engine's own
	Server int        `json:"server"` // index into Report.Servers; -1 if none was started
	From   []Reach    `json:"from"`
	// Findings are those of this mode alone. Those of the Report are of all.
	Findings []Finding `json:"findings"`
}

// ModeResult says in a word what became of a network mode.
type ModeResult string

// The results of a network mode.
const (
	ModeWorks  ModeResult = "works"  // the server is reached from every vantage
	ModePartly ModeResult = "partly" // from some, and it is known why not from the others
	ModeCannot ModeResult = "cannot" // from none, or the engine cannot do it, and it is known why
	ModeFailed ModeResult = "failed" // not from everywhere, and it is not known why
)

// VantagePeer is that of a container beside a server, on the server's own network.
// Addresses that work there are of use there alone.
const VantagePeer = "peer"

// Reach is whether a mode's server is reached from one vantage.
type Reach struct {
	Vantage string `json:"vantage"`
	OK      bool   `json:"ok"`
	URL     string `json:"url"`   // the best address there; empty if none works
	Cause   Cause  `json:"cause"` // why none works, if it is known
}

// Server is one server container.
type Server struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	Image     string        `json:"image"`
	Builtin   bool          `json:"builtin"`
	Node      string        `json:"node"` // the Swarm node that it is on, by name; empty without --nodes
	Port      uint16        `json:"port"`
	Networks  []Network     `json:"networks"`
	Published []PortBinding `json:"published"`
}

// Network is one network that a server is on.
type Network struct {
	Name    string `json:"name"`
	Driver  string `json:"driver"`
	IPv4    string `json:"ipv4"`
	IPv6    string `json:"ipv6"`
	Gateway string `json:"gateway"`
}

// PortBinding is one address of the engine's host at which the server's port
// is published.
type PortBinding struct {
	HostIP   string `json:"hostIp"`
	HostPort uint16 `json:"hostPort"`
}

// Kind says what sort of address a candidate is.
type Kind string

// The kinds of candidates.
const (
	KindContainerIP         Kind = "container-ip"
	KindContainerName       Kind = "container-name"
	KindPublishedAny        Kind = "published-any"
	KindPublishedLocalhost  Kind = "published-localhost"
	KindPublishedGateway    Kind = "published-gateway"
	KindPublishedHostAlias  Kind = "published-host-alias"
	KindPublishedEngineHost Kind = "published-engine-host"
	KindDindHost            Kind = "dind-host" // the nested engine's container, where it publishes ports
	KindRelay               Kind = "relay"     // the relay, with a server's path

	// For a server on the engine's host, asked from containers.
	KindHostGateway Kind = "host-gateway"
	KindHostAlias   Kind = "host-alias"
	KindHostAddress Kind = "host-address"
)

// Probe is what one candidate address did when it was tried from one vantage.
type Probe struct {
	Vantage   string             `json:"vantage"`
	Server    int                `json:"server"` // index into Report.Servers
	Kind      Kind               `json:"kind"`
	Address   string             `json:"address"`
	URL       string             `json:"url"`
	OK        bool               `json:"ok"`
	Phase     netprobe.Phase     `json:"phase"`
	Failure   netprobe.Failure   `json:"failure"`
	Detail    string             `json:"detail"` // the failure in words
	Status    int                `json:"status"`
	Body      string             `json:"body"`
	Identity  netprobe.Identity  `json:"identity"`
	WebSocket netprobe.WebSocket `json:"websocket"`
	Cause     Cause              `json:"cause"`
	Hint      string             `json:"hint"`
	Attempts  int                `json:"attempts"`
	Timings   ProbeTimings       `json:"timings"`
}

// ProbeTimings are the times of the last attempt, in milliseconds.
type ProbeTimings struct {
	ResolveMS   float64 `json:"resolveMs"`
	ConnectMS   float64 `json:"connectMs"`
	FirstByteMS float64 `json:"firstByteMs"`
	TotalMS     float64 `json:"totalMs"`
}

// Best is the address to use for one server from one vantage.
type Best struct {
	Vantage string `json:"vantage"`
	Server  int    `json:"server"`
	Kind    Kind   `json:"kind"`
	URL     string `json:"url"`
}

// Severity says how bad a finding is.
type Severity string

// The severities of a finding.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
	SeverityInfo    Severity = "info"
)

// Finding is what is wrong and how to mend it.
type Finding struct {
	Cause    Cause    `json:"cause"`
	Severity Severity `json:"severity"`
	Title    string   `json:"title"`
	Evidence []string `json:"evidence"`
	Hint     string   `json:"hint"`
	Commands []string `json:"commands"`
}

// Timings says how long the parts of a command took, in milliseconds.
type Timings struct {
	ImageMS   float64 `json:"imageMs"`
	StartMS   float64 `json:"startMs"`
	ProbeMS   float64 `json:"probeMs"`
	CleanupMS float64 `json:"cleanupMs"`
	TotalMS   float64 `json:"totalMs"`
}

// New returns an empty Report of a command. Its lists are empty rather than
// nil, so that they are `[]` in JSON.
func New(command string) *Report {
	return &Report{
		SchemaVersion: SchemaVersion,
		Command:       command,
		Checks:        []Check{},
		Accesses:      []Access{},
		Nodes:         []Node{},
		Modes:         []Mode{},
		Servers:       []Server{},
		Probes:        []Probe{},
		Best:          []Best{},
		Findings:      []Finding{},
	}
}

// Milliseconds is a duration as a Report has it.
func Milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
