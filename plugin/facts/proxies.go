package facts

// Proxies are the proxy settings of the programs at a vantage. The package proxy
// implements them.
type Proxies interface {
	Catch(host string) (Caught, bool)
	NoProxy() ProxySetting
}

// ProxySetting is a setting, with its name in its source. Its value may hold a password.
type ProxySetting struct{ Name, Value string }

// Caught is a request that would go through a proxy.
type Caught struct {
	By    ProxySetting
	Proxy string // its host and port, without credentials
}
