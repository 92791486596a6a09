package client

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Work is what a client container is told to do, over its stdin.
type Work struct {
	Run       string          `json:"run"` // the id of the run
	Spec      experiment.Spec `json:"spec"`
	Endpoint  json.RawMessage `json:"endpoint"`  // of the engine to start servers on, secrets included
	Host      string          `json:"host"`      // of the user's tcp or ssh endpoint, which a socket does not tell
	Vantage   string          `json:"vantage"`   // its own name in the Report
	Container string          `json:"container"` // its own id, if that engine runs it
	// Description is that of the engine, if it is the one that runs the client and
	// was asked already.
	Description *connection.Description `json:"description,omitempty"`
	Patience    time.Duration           `json:"patience"` // how long that engine may take to come up
	// Identities are those of the built-in servers, one each; none for new ones. A
	// relay starts as many servers as it has identities.
	Identities []string `json:"identities"`
	Hold       bool     `json:"hold"` // keep the servers until a Release

	// RegistryAuth is what Engine.RegistryAuth says of the image of Spec, for the
	// case that it is to be pulled; NoRegistryAuth is why that is not to be had.
	RegistryAuth   string `json:"registryAuth"`
	NoRegistryAuth string `json:"noRegistryAuth"`
}

// authorize adds what the registry of the user's image wants, where it is to be pulled.
func (w *Work) authorize(ctx context.Context, engine engine.Engine) {
	auth, err := engine.AskRegistryAuth(ctx, w.Spec.Image)
	if err != nil {
		w.NoRegistryAuth = err.Error()
	}
	w.RegistryAuth = auth
}

// RelayPort is the port that a relay listens on in its container.
const RelayPort = 4648

// Release is the second document that a client may get.
type Release struct {
	Release bool `json:"release"`
	Keep    bool `json:"keep"` // go on, but tell the outcome so far
}

// Message is what a client container says, over its stdout: progress, at last
// an outcome. One field is set.
type Message struct {
	Step     string         `json:"step,omitempty"` // a step begins; an earlier one has ended
	Note     string         `json:"note,omitempty"`
	Ready    bool           `json:"ready,omitempty"`    // a relay listens, until the Release
	Measured *report.Report `json:"measured,omitempty"` // the servers run, until the Release
	SoFar    *report.Report `json:"soFar,omitempty"`    // for Options.Tell; it is in the outcome too
	Outcome  *Outcome       `json:"outcome,omitempty"`
}

// Outcome is how a client's work ended.
type Outcome struct {
	// Connected says whether it reached the engine that it was given.
	Connected bool            `json:"connected"`
	Report    *report.Report  `json:"report"`
	Error     string          `json:"error"`
	Fault     *report.Finding `json:"fault"` // if the error's cause is known
}
