package diagnosis

var HTTPProxyInterferes = define("http-proxy-interferes", noLevel, definition{title: "A proxy setting would catch this address"})
