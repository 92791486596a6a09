// Package report holds the Report, the result of every command. Package render
// writes it in the format that the user chose. The agent sends Reports to the plugin
// as JSON, so this package must not import docker/cli.
package report

import (
	"slices"
	"strings"
	"time"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// SchemaVersion is the version of the JSON document. It increases when a key changes
// its meaning or is removed, not when one is added.
const SchemaVersion = 1

// Cause is the stable id of something that can be wrong, such as port-in-use. An id is
// never reused for something else. Package diagnosis explains each cause.
type Cause string

// Page is the URL of the page that explains the cause, which package diagnosis embeds; empty
// for a text that is no id.
func (c Cause) Page() string {
	if strings.ContainsFunc(string(c), func(r rune) bool { return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') }) || c == "" {
		return ""
	}
	return "https://github.com/nestprobe/docker-nestprobe/blob/main/docs/causes/" + string(c) + ".md"
}

// Report is what a command measured.
type Report struct {
	SchemaVersion int       `json:"schemaVersion"` // of the command that wrote it
	Command       string    `json:"command"`       // run, in-container or diagnose
	OK            bool      `json:"ok"`            // true if the exit status is 0
	Error         string    `json:"error"`         // what stopped the command; empty if it could measure
	Endpoint      Endpoint  `json:"endpoint"`
	Self          *Self     `json:"self,omitempty"` // none if the command does not run in a container
	Checks        []Check   `json:"checks"`         // of diagnose; of health checks if a server has one
	Accesses      []Access  `json:"accesses"`       // of in-container
	Nodes         []Node    `json:"nodes"`          // of run --nodes
	Modes         []Mode    `json:"modes"`          // of --networks
	Servers       []Server  `json:"servers"`
	Probes        []Probe   `json:"probes"`
	Best          []Best    `json:"best"` // for each server and each vantage that reaches it, the main vantage first
	Findings      []Finding `json:"findings"`
	Timings       Timings   `json:"timings"`
	Target        Target    `json:"-"` // of diagnose TARGET
}

// Endpoint is the Docker endpoint that the command used.
type Endpoint struct {
	Context   string `json:"context"`   // the docker context's name
	Host      string `json:"host"`      // a URL, such as unix:///var/run/docker.sock
	Transport string `json:"transport"` // unix, npipe, tcp or ssh
	TLS       bool   `json:"tls"`
	Engine    Engine `json:"engine"` // empty if the engine did not answer
}

// Engine is the engine at an endpoint, as it describes itself.
type Engine struct {
	Product    string `json:"product"`    // such as Docker Engine, Docker Desktop or Podman Engine
	Version    string `json:"version"`    // the engine's version
	APIVersion string `json:"apiVersion"` // the newest version of the API that it offers
	OS         string `json:"os"`         // the operating system of its containers, as a GOOS
	Arch       string `json:"arch"`       // the CPU, as a GOARCH
	Rootless   bool   `json:"rootless"`
	Desktop    bool   `json:"desktop"` // Docker Desktop: the engine runs in a VM
}

// Self is the container in which the command runs.
type Self struct {
	Container string `json:"container"` // its ID; empty if it is not known
	Name      string `json:"name"`      // empty if the engine at the endpoint does not run it
	Network   string `json:"network"`   // own, host, or shared with another container
}

// Check is one check of diagnose.
type Check struct {
	Context  string      `json:"context"`  // the docker context; empty unless all contexts are checked
	Category string      `json:"category"` // the part of the setup, such as endpoint or networks
	Name     string      `json:"name"`     // what is checked, unique within its category
	Result   CheckResult `json:"result"`
	Detail   string      `json:"detail"` // what was seen, or why the check was skipped or is inconclusive
	Cause    Cause       `json:"cause"`  // of a warning or failure
}

// CheckResult is the result of a check.
type CheckResult string

// The results of a check.
const (
	CheckPass         CheckResult = "pass"
	CheckWarning      CheckResult = "warning"
	CheckFailure      CheckResult = "failure"
	CheckSkipped      CheckResult = "skipped"
	CheckInconclusive CheckResult = "inconclusive"
	CheckCrashed      CheckResult = "crashed" // the check itself failed; what it checks may be fine
)

// Names of the checks whose details describe a context in one line.
const (
	CheckOfEndpoint = "endpoint"
	CheckOfEngine   = "engine"
)

// Access is one method of giving a client container the Docker API.
type Access struct {
	Method string `json:"method"` // socket, endpoint, dind or none
	OK     bool   `json:"ok"`     // the client can use the API
	Cause  Cause  `json:"cause"`  // why it cannot, if that is known
	Detail string `json:"detail"` // why it cannot, in words
}

// Node is one node of a Swarm.
type Node struct {
	ID      string `json:"id"`
	Name    string `json:"name"`    // the host name, with the ID if several nodes have the same
	Address string `json:"address"` // the IP address at which other nodes reach it
	State   string `json:"state"`   // ready, down, drained, paused, …
	Manager bool   `json:"manager"`
}

// Mode is the result for one network mode of --networks.
type Mode struct {
	Name     string     `json:"name"`
	Result   ModeResult `json:"result"`
	Cause    Cause      `json:"cause"`    // why the server is not reached; empty if it is, or if the cause is not known
	Detail   string     `json:"detail"`   // the cause in words, or the error of an engine that does not support the mode
	Server   int        `json:"server"`   // index into Report.Servers; -1 if no server was started
	From     []Reach    `json:"from"`     // one for each vantage; empty if no server was started
	Findings []Finding  `json:"findings"` // only those of this mode; Report.Findings has those of all modes
}

// ModeResult is the result of a network mode in a word.
type ModeResult string

// The results of a network mode.
const (
	ModeWorks  ModeResult = "works"  // the server is reached from every vantage
	ModePartly ModeResult = "partly" // it is reached from some vantages, and the cause is known for the others
	ModeCannot ModeResult = "cannot" // it is reached from no vantage or cannot be started, and the cause is known
	ModeFailed ModeResult = "failed" // it is not reached from some vantage, and the cause is not known
)

// The names of vantages. VantageContainer begins that of a running container, before its
// name. VantagePeer is a container on the server's own network: addresses that work there
// may not work anywhere else.
const (
	VantageHost      = "host"
	VantagePeer      = "peer"
	VantageContainer = "container:"
	vantageForeign   = "container" // the command's own, if the engine does not run it
)

// Vantage returns the vantage of the command itself. A container that uses the network of
// the engine's host counts as the host.
func (s *Self) Vantage() string {
	switch {
	case s == nil || s.Network == "host":
		return VantageHost
	case s.Name == "":
		return vantageForeign
	default:
		return VantageContainer + s.Name
	}
}

// Reach says whether a mode's server is reached from one vantage.
type Reach struct {
	Vantage string `json:"vantage"`
	OK      bool   `json:"ok"`
	URL     string `json:"url"`   // the best base URL; empty if no address works
	Cause   Cause  `json:"cause"` // why no address works, if that is known
}

// Server is one server: a container, or a program on the engine's host.
type Server struct {
	ID        string        `json:"id"`        // the container's
	Name      string        `json:"name"`      // the container's, without a slash; host for the engine's host
	Image     string        `json:"image"`     // the reference that the container was created from
	Builtin   bool          `json:"builtin"`   // it is the built-in server
	Node      string        `json:"node"`      // the name of its Swarm node; empty without --nodes
	Port      uint16        `json:"port"`      // the TCP port in the container
	Networks  []Network     `json:"networks"`  // sorted by name
	Published []PortBinding `json:"published"` // of Port
}

// Network is one network of a server.
type Network struct {
	Name    string `json:"name"`
	Driver  string `json:"driver"`  // such as bridge or overlay; empty if it is not known
	IPv4    string `json:"ipv4"`    // the server's address
	IPv6    string `json:"ipv6"`    // the server's address
	Gateway string `json:"gateway"` // the network's IPv4 gateway
}

// PortBinding is one address of the engine's host at which the server's port
// is published.
type PortBinding struct {
	HostIP   string `json:"hostIp"`
	HostPort uint16 `json:"hostPort"`
}

// Kind is the kind of a candidate address.
type Kind string

// The kinds of candidate addresses.
const (
	KindContainerIP         Kind = "container-ip"
	KindContainerName       Kind = "container-name"
	KindOwnLocalhost        Kind = "own-localhost" // from a container that shares the server's network namespace
	KindPublishedAny        Kind = "published-any"
	KindPublishedLocalhost  Kind = "published-localhost"
	KindPublishedGateway    Kind = "published-gateway"
	KindPublishedHostAlias  Kind = "published-host-alias"
	KindPublishedEngineHost Kind = "published-engine-host"
	KindDindHost            Kind = "dind-host" // the nested engine's container, where it publishes ports
	KindRelay               Kind = "relay"     // the relay, with the path of a server

	// For a server on the engine's host, probed from containers.
	KindHostGateway Kind = "host-gateway"
	KindHostAlias   Kind = "host-alias"
	KindHostAddress Kind = "host-address"
)

// Probe is the result of probing one candidate address from one vantage.
type Probe struct {
	Vantage   string             `json:"vantage"` // where the probe ran: host, client, peer, network:NAME, …
	Server    int                `json:"server"`  // index into Report.Servers
	Kind      Kind               `json:"kind"`
	Address   string             `json:"address"`            // host:port
	URL       string             `json:"url"`                // what was requested
	Resolved  []string           `json:"resolved,omitempty"` // the addresses of a name
	OK        bool               `json:"ok"`                 // the intended server answered as expected
	Phase     netprobe.Phase     `json:"phase"`              // the last phase that was reached
	Failure   netprobe.Failure   `json:"failure"`            // empty if the probe worked
	Detail    string             `json:"detail"`             // the failure in words
	Status    int                `json:"status"`             // of the HTTP answer; 0 if there was none
	Body      string             `json:"body"`               // the first bytes of the answer, control characters escaped
	Identity  netprobe.Identity  `json:"identity"`
	WebSocket netprobe.WebSocket `json:"websocket"`
	Cause     Cause              `json:"cause"` // of the failure, if it is known
	Hint      string             `json:"hint"`  // how to fix the cause
	Attempts  int                `json:"attempts"`
	Timings   ProbeTimings       `json:"timings"`

	// NotSent is netprobe.Result.NotSent.
	NotSent bool `json:"-"`

	// NotExpected says that with the Cause, a setting, the address is not expected to work.
	NotExpected bool `json:"-"`
}

// ProbeTimings are the durations of the last attempt, in milliseconds.
type ProbeTimings struct {
	ResolveMS   float64 `json:"resolveMs"`
	ConnectMS   float64 `json:"connectMs"`
	FirstByteMS float64 `json:"firstByteMs"`
	TotalMS     float64 `json:"totalMs"`
}

// Best is the address to use for one server from one vantage.
type Best struct {
	Vantage string `json:"vantage"`
	Server  int    `json:"server"` // index into Report.Servers
	Kind    Kind   `json:"kind"`
	URL     string `json:"url"` // the base, to which paths are added
}

// Severity is the severity of a finding.
type Severity string

// The severities of a finding.
const (
	SeverityError   Severity = "error"   // it keeps a server from being reached, or the engine from being used
	SeverityWarning Severity = "warning" // it will or may cause errors
	SeverityInfo    Severity = "info"    // an address does not work, but another one does
)

// Finding is what is wrong and how to fix it.
type Finding struct {
	Cause    Cause    `json:"cause"` // empty if it is not known
	Severity Severity `json:"severity"`
	Title    string   `json:"title"`    // what is wrong, in one sentence
	Evidence []string `json:"evidence"` // what was measured, one measurement a line
	Hint     string   `json:"hint"`     // how to fix it, in one sentence
	Commands []string `json:"commands"` // to copy into a shell
	Compose  []string `json:"-"`        // lines of a Compose file that do the same
	Setting  Setting  `json:"-"`        // what fixes it; empty if the cause decides
	Then     string   `json:"-"`        // the address that works when the commands have been followed; empty if that is not known
}

// Timings are the durations of a command's steps, in milliseconds. Those of several
// network modes are added up.
type Timings struct {
	ImageMS   float64 `json:"imageMs"`   // to find, pull or load the image
	StartMS   float64 `json:"startMs"`   // to start the servers
	ProbeMS   float64 `json:"probeMs"`   // to probe all addresses
	CleanupMS float64 `json:"cleanupMs"` // to remove what was made
	TotalMS   float64 `json:"totalMs"`   // from start to end; not the sum of the steps, some of which run in parallel
}

// New returns an empty Report of a command. Its lists are empty and not nil, so that
// they are `[]` in JSON.
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

// URL returns the base URL of the best address, to which paths are added, such as
// http://127.0.0.1:32768; over plain TCP it is tcp://127.0.0.1:32768. It is empty if no
// address works.
func (r *Report) URL() string {
	if len(r.Best) == 0 {
		return ""
	}
	return r.Best[0].URL
}

// Address returns host and port of the best address, as net.Dial takes them; empty if no
// address works.
func (r *Report) Address() string { return r.best().Address }

// Identity says who answers at the best address: see netprobe. It is empty if no address
// works.
func (r *Report) Identity() netprobe.Identity { return r.best().Identity }

// best returns the probe of the best address; a zero one if no address works.
func (r *Report) best() Probe {
	for _, p := range r.Probes {
		if len(r.Best) > 0 && p.OK && strings.HasPrefix(p.URL, r.Best[0].URL) && p.Vantage == r.Best[0].Vantage && p.Kind == r.Best[0].Kind && p.Server == r.Best[0].Server {
			return p
		}
	}
	return Probe{}
}

// Add appends the servers of another Report, with all that belongs to them, and adds
// its timings, except for the total. The caller sets OK.
func (r *Report) Add(other *Report) {
	offset := len(r.Servers)
	r.Servers = append(r.Servers, other.Servers...)
	for _, probe := range other.Probes {
		probe.Server += offset
		r.Probes = append(r.Probes, probe)
	}
	for _, best := range other.Best {
		best.Server += offset
		r.Best = append(r.Best, best)
	}
	for _, mode := range other.Modes {
		if mode.Server >= 0 {
			mode.Server += offset
		}
		r.Modes = append(r.Modes, mode)
	}
	r.Checks = append(r.Checks, other.Checks...)
	r.Findings = append(r.Findings, other.Findings...)
	r.Timings.ImageMS += other.Timings.ImageMS
	r.Timings.StartMS += other.Timings.StartMS
	r.Timings.ProbeMS += other.Timings.ProbeMS
	r.Timings.CleanupMS += other.Timings.CleanupMS
}

// Milliseconds is a duration as a Report has it.
func Milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// ProbesFrom returns the probes from one vantage.
func ProbesFrom(vantage string, probes []Probe) []Probe {
	return slices.DeleteFunc(slices.Clone(probes), func(p Probe) bool { return p.Vantage != vantage })
}

// WorseThan says whether a severity is worse than another one.
func (s Severity) WorseThan(other Severity) bool {
	order := []Severity{SeverityInfo, SeverityWarning, SeverityError}
	return slices.Index(order, s) > slices.Index(order, other)
}
