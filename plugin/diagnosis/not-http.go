package diagnosis

var NotHTTP = define("not-http", badAnswer, definition{
	title: "The server does not speak HTTP",
	hint:  "the server speaks another protocol on this port: choose its HTTP port, or probe it over plain TCP",
})
