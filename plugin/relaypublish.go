package plugin

import (
	"errors"

	"github.com/docker/go-connections/nat"
)

// relayPublishFlag is the flag that says where a relay is published.
const relayPublishFlag = "relay-publish"

// publishValue is the flag of one published TCP port, in the syntax of docker's --publish.
type publishValue struct {
	text    string
	mapping *nat.PortMapping // nil until it is set
}

// Set implements pflag.Value.
func (v *publishValue) Set(text string) error {
	short, err := shortPublish(text)
	if err != nil {
		return err
	}
	mappings, err := nat.ParsePortSpec(short)
	switch {
	case err != nil:
		return err
	case len(mappings) != 1:
		return errors.New("must be one port")
	case mappings[0].Port.Proto() != "tcp":
		return errors.New("must be a TCP port")
	}
	v.text, v.mapping = text, &mappings[0]
	return nil
}

// String implements pflag.Value.
func (v *publishValue) String() string { return v.text }

// Type implements pflag.Value.
func (*publishValue) Type() string { return "string" }
