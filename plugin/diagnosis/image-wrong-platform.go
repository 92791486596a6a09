package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/report"

const ImageWrongPlatform report.Cause = "image-wrong-platform"

var _ = define(ImageWrongPlatform, definition{title: "The image is built for another platform"})
