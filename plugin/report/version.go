package report

// Version says which build of the plugin runs: what `version --format json` prints.
// Templates use its fields.
type Version struct {
	Version       string  `json:"version"`       // such as "v0.1.0"
	GitCommit     string  `json:"gitCommit"`     // empty if it was built outside a clone
	CommitTime    string  `json:"commitTime"`    // in RFC 3339; a build has no other time, so that it can be repeated
	GoVersion     string  `json:"goVersion"`     // of the compiler
	Os            string  `json:"os"`            // GOOS
	Arch          string  `json:"arch"`          // GOARCH
	SchemaVersion int     `json:"schemaVersion"` // of the Report that --format json prints
	Agents        []Agent `json:"agents"`        // inside the plugin; empty in one that was not built by make
}

// Agent is the agent for a platform.
type Agent struct {
	Platform string `json:"platform"` // such as "linux/amd64"
	Image    string `json:"image"`    // the reference of its image; its tag is the digest of the content
}
