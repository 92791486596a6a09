package diagnosis

var PortInUse = define("port-in-use", noLevel, definition{title: "The host port is already taken"})
