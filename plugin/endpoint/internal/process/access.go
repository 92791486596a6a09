package process

// AccessFix is how a user gets the right to open a socket.
type AccessFix struct {
	Hint     string
	Commands []string
	Evidence []string
}
