package connection

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// carriedVersion is the version of the carried format. Both ends are of one build,
// so any other version is refused.
const carriedVersion = 1

// carried is the JSON form of carried settings.
type carried struct {
	Version    int               `json:"version"`
	Context    string            `json:"context"`
	Host       string            `json:"host"`
	TLS        *carriedTLS       `json:"tls,omitempty"`
	Headers    map[string]string `json:"headers,omitempty"`
	APIVersion string            `json:"apiVersion,omitempty"`
	UserAgent  string            `json:"userAgent,omitempty"`
}

// carriedTLS has the fields of TLS, into which it converts.
type carriedTLS struct {
	CA         []byte `json:"ca,omitempty"`
	Cert       []byte `json:"cert,omitempty"`
	Key        []byte `json:"key,omitempty"`
	SkipVerify bool   `json:"skipVerify,omitempty"`
	Folder     string `json:"-"`
}

// Carry encodes the settings for [Receive] in another process, keys, headers and
// passwords included. Write the result only to a pipe that that process reads:
// not to a file, a log, an environment or a command line.
//
// Settings that need a dialer (ssh) or work only on this machine (npipe) cannot be
// carried; there is no other error. A unix socket can be carried, since its path may
// mean the same on the other side.
func (s Settings) Carry() ([]byte, error) {
	use := s.use()
	switch s.Transport {
	case SSH:
		return nil, fmt.Errorf("the endpoint %s cannot be used from a container, since it needs programs and keys of this machine", s.Host)
	case Npipe:
		return nil, fmt.Errorf("the endpoint %s cannot be used from a container, since it is a pipe of this machine", s.Host)
	}
	return json.Marshal(carried{
		Version: carriedVersion, Context: s.Context, Host: use.host, TLS: (*carriedTLS)(use.tls),
		Headers: use.headers, APIVersion: use.apiVersion, UserAgent: use.userAgent,
	})
}

// CarryIntoContainer is [Settings.Carry] for a client in a container. It is an error
// for a socket, which needs a mount, and for a loopback address, which is the
// container itself. For a loopback address the error is a [*report.Fault].
func (s Settings) CarryIntoContainer() ([]byte, error) {
	switch {
	case s.Transport == Unix:
		return nil, &report.SettingError{
			Setting: report.SettingAccessSocket,
			Err:     fmt.Errorf("the endpoint %s is a socket of this machine: give the container the socket", s.Host),
		}
	case s.IsLoopback() && s.Transport == TCP:
		fault := &report.Fault{
			Cause: EndpointIsLoopback,
			Hint:  "give it the socket, or choose an endpoint at an address of the engine's host that containers reach",
			Err:   sentence.Of(nil, "the endpoint %s would lead a container to itself", s.Host),
		}
		return nil, s.withEndpoint(fault, PhaseSettings)
	}
	return s.Carry()
}

// Receive decodes what [Settings.Carry] encoded. An error says that data is not in
// the form of this version, and shows nothing of it.
func Receive(data []byte) (Settings, error) {
	var encoded carried
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&encoded); err != nil {
		return Settings{}, sentence.Of(err, "read the carried endpoint: it is not in the form of this version")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Settings{}, errors.New("read the carried endpoint: something follows it")
	}
	switch transport := transportOf(encoded.Host); {
	case encoded.Version != carriedVersion:
		return Settings{}, fmt.Errorf("read the carried endpoint: it is of version %d, not %d", encoded.Version, carriedVersion)
	case encoded.Host == "", transport == SSH, transport == Npipe:
		return Settings{}, errors.New("read the carried endpoint: its host is of no use here")
	}
	options := []Option{WithHeaders(encoded.Headers), WithAPIVersion(encoded.APIVersion), WithUserAgent(encoded.UserAgent)}
	if encoded.TLS != nil {
		options = append(options, WithTLS(TLS(*encoded.TLS)))
	}
	return NewSettings(encoded.Context, encoded.Host, options...), nil
}
