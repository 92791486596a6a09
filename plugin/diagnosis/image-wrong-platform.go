package diagnosis

var ImageWrongPlatform = define("image-wrong-platform", noLevel, definition{title: "The image is built for another platform"})
