package diagnosis

var ContainerNotStarted = define("container-not-started", noLevel, definition{title: "The engine has not started the container"})
