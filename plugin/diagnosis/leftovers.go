package diagnosis

var Leftovers = define("leftovers", noLevel, definition{title: "An earlier nestprobe left containers or networks behind"})
