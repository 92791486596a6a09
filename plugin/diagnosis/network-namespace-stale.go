package diagnosis

var NetworkNamespaceStale = define("network-namespace-stale", noLevel, definition{title: "The container is in a network that another container no longer has"})
