package diagnosis

var ContainerOnAnotherEngine = define("container-on-another-engine", noLevel, definition{title: "The container is on the engine of another context"})
