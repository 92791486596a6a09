package diagnosis

var PortReserved = define("port-reserved", noLevel, definition{title: "The system does not give out the host port"})
