package diagnosis

var NameInUse = define("name-in-use", noLevel, definition{title: "The name is already taken"})
