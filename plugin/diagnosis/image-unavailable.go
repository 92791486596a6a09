package diagnosis

var ImageUnavailable = define("image-unavailable", noLevel, definition{title: "The image is not available"})
