package connection

// Sources say in words where the settings of an endpoint came from, such as
// "from DOCKER_HOST". Empty is what was not set.
type Sources struct {
	Context    string
	Host       string
	TLS        string
	Files      string // of TLS
	APIVersion string // that was fixed
	Headers    string
}
