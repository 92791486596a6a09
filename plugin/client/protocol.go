package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"time"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Job is what a client container has to do. It is the first JSON document on the
// container's stdin, and must not be written anywhere else: it holds secrets.
type Job struct {
	Run       string             `json:"run"` // id of the run
	Request   experiment.Request `json:"request"`
	ServerEnv []string           `json:"serverEnv"`        // see experiment.Options
	Endpoint  json.RawMessage    `json:"endpoint"`         // of the engine to start servers on, as Settings.Carry writes it, secrets included
	Host      string             `json:"host"`             // of the user's tcp or ssh endpoint, which a mounted socket does not show
	NoHost    bool               `json:"noHost,omitempty"` // Endpoint leads to another container, not to the engine's host
	// HostAddresses are Engine.HostAddresses of the engine that runs the client.
	HostAddresses []netip.Addr `json:"hostAddresses,omitempty"`
	Vantage       string       `json:"vantage"`   // the client's name in the Report
	Container     string       `json:"container"` // the client's id; empty if another engine runs it
	// Description of the engine, if it is the one that runs the client. Nil: the
	// client reads it itself.
	Description  *connection.Description `json:"description,omitempty"`
	StartTimeout time.Duration           `json:"startTimeout"` // how long the engine may take to start
	// AgentDigest is the tag of the image that the client runs in, so that it need not hash
	// its own program. Empty if that is an image of the user.
	AgentDigest string `json:"agentDigest,omitempty"`
	// Identities of the built-in servers, one each; empty: the client makes them. A
	// relay starts as many servers as it has identities.
	Identities []string    `json:"identities"`
	Relay      RelayAccess `json:"relay,omitzero"`  // who may use it, if the client is a relay
	Debug      bool        `json:"debug,omitempty"` // log what packages log for docker's flag --debug
	Hold       bool        `json:"hold"`            // report what was measured, and keep the servers until a Release

	// RegistryAuth is the value of Engine.RegistryAuth for the image of Request, if the
	// client will pull it. NoRegistryAuth is why there is none.
	RegistryAuth   string `json:"registryAuth"`
	NoRegistryAuth string `json:"noRegistryAuth"`
}

// addRegistryAuth adds the credentials for the registry of the user's image.
func (j *Job) addRegistryAuth(ctx context.Context, engine engine.Engine) {
	auth, err := engine.RequestRegistryAuth(ctx, j.Request.Image)
	if err != nil {
		j.NoRegistryAuth = err.Error()
	}
	j.RegistryAuth = auth
}

// RelayAccess says where a relay listens and who may use it.
type RelayAccess struct {
	Port  uint16   `json:"port"`  // in its container
	Token string   `json:"token"` // that every request needs
	Hosts []string `json:"hosts"` // names that its Host header may have, in lower case, besides localhost
	// Origin is that of the requests that the user describes; empty if they have none.
	Origin string `json:"origin"`
}

// TokenBytes is the size of a relay's token, in bytes.
const TokenBytes = 16

// TokenHeader has the token of a request to a relay, if its path does not begin with it.
const TokenHeader = "Nestprobe-Token"

// Release is the second JSON document on a client container's stdin. It ends a Hold,
// or a relay; without Release set, it interrupts the job.
type Release struct {
	Release bool `json:"release"`
	Keep    bool `json:"keep"` // the relay sends its Outcome so far, and continues
}

// Message is one JSON document on a client container's stdout: progress, and finally
// the Outcome. One field is set, but in the first one, which says that the Job was read.
type Message struct {
	Step     string         `json:"step,omitempty"` // a step begins, and the previous one has ended
	Note     string         `json:"note,omitempty"`
	Log      string         `json:"log,omitempty"`      // a line for docker's flag --debug
	Ready    bool           `json:"ready,omitempty"`    // the relay listens, until a Release
	Measured *report.Report `json:"measured,omitempty"` // the servers run, until a Release
	SoFar    *report.Report `json:"soFar,omitempty"`    // a part of the Outcome's Report, in case the Outcome never comes
	Outcome  *Outcome       `json:"outcome,omitempty"`
}

// translate writes the commands that the client suggests for the user's shell.
func (m *Message) translate() {
	reports := []*report.Report{m.Measured, m.SoFar}
	if m.Outcome != nil {
		reports = append(reports, m.Outcome.Report)
		if m.Outcome.Fault != nil {
			m.Outcome.Fault.Translate()
		}
	}
	for _, r := range reports {
		if r != nil {
			r.Translate()
		}
	}
}

// Outcome is how a Job ended.
type Outcome struct {
	// Connected says whether the client reached the engine at Job.Endpoint.
	Connected bool            `json:"connected"`
	Report    *report.Report  `json:"report"`
	Error     string          `json:"error"`
	Fault     *report.Finding `json:"fault"` // if the error's cause is known
	// Setting is what the user can change to fix the error; empty if there is none.
	Setting report.Setting `json:"setting,omitempty"`
}

// err returns the error of the client with its cause and setting; nil if there is none.
func (o *Outcome) err() error {
	if o.Error == "" {
		return nil
	}
	err := errors.New(o.Error)
	if o.Fault != nil {
		err = report.FromFinding(*o.Fault, o.Error)
	}
	if o.Setting != "" {
		err = &report.SettingError{Setting: o.Setting, Err: err}
	}
	return err
}
