package diagnosis

var UnexpectedBody = define("unexpected-body", badAnswer, definition{
	title: "The server answered with another body than expected",
	hint:  "the server is reached, and sends another text: choose another path, or expect a text that it sends",
})
