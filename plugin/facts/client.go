package facts

import (
	"strings"

	"github.com/docker/docker/api/types/container"
)

// Client is what the settings of a container say of the programs in it, as far as that
// decides where their requests go.
type Client struct {
	Environment []string    // NAME=VALUE
	ExtraHosts  []ExtraHost // entries of its hosts file, from docker run --add-host
	DNS         []string    // name servers, from docker run --dns
	DNSSearch   []string    // domains, from docker run --dns-search
	DNSOptions  []string    // such as ndots:1, from docker run --dns-option
}

// ExtraHost is an entry that an engine adds to the hosts file of a container.
type ExtraHost struct {
	Name    string
	Address string // host-gateway stands for the address of the engine's host
}

// ReadClient takes the settings from the inspection of a container.
func ReadClient(response container.InspectResponse) Client {
	var c Client
	if response.Config != nil {
		c.Environment = response.Config.Env
	}
	if response.ContainerJSONBase == nil || response.HostConfig == nil {
		return c
	}
	for _, entry := range response.HostConfig.ExtraHosts {
		c.addHost(entry)
	}
	c.DNS, c.DNSSearch, c.DNSOptions = response.HostConfig.DNS, response.HostConfig.DNSSearch, response.HostConfig.DNSOptions
	return c
}

// ResolverOptions returns the settings of the resolver as options of docker run; empty if it
// has only those of the engine.
func (c Client) ResolverOptions() string {
	var options []string
	for _, setting := range []struct {
		option string
		values []string
	}{{"--dns", c.DNS}, {"--dns-search", c.DNSSearch}, {"--dns-option", c.DNSOptions}} {
		for _, value := range setting.values {
			options = append(options, setting.option+" "+value)
		}
	}
	return strings.Join(options, " ")
}

// addHost adds an entry in one of its forms: name:address or, since Docker CLI 25,
// name=address. The address may be an IPv6 one, in brackets or not.
func (c *Client) addHost(entry string) {
	i := strings.IndexAny(entry, ":=")
	if i < 1 {
		return
	}
	address := strings.TrimSuffix(strings.TrimPrefix(entry[i+1:], "["), "]")
	c.ExtraHosts = append(c.ExtraHosts, ExtraHost{Name: entry[:i], Address: address})
}

// Getenv returns a variable of the environment as programs in the container see it; empty
// if it is not set. If a variable is set twice, the last value counts.
func (c Client) Getenv(name string) string {
	value := ""
	for _, variable := range c.Environment {
		if text, ok := strings.CutPrefix(variable, name+"="); ok {
			value = text
		}
	}
	return value
}
