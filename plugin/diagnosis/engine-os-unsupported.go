package diagnosis

var EngineOSUnsupported = define("engine-os-unsupported", noLevel, definition{title: "The engine runs containers of an OS or CPU that has no agent"})
