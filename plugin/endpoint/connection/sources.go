package connection

// Sources say in words where the settings of an endpoint are from, such as "from
// DOCKER_HOST". A setting that was not set has an empty source.
type Sources struct {
	Context    string
	Host       string
	TLS        string
	Files      string // of TLS
	APIVersion string // that was fixed
	Headers    string
}
