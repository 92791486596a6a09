package diagnosis

// What a rule may need: each says whether it was measured.

// listeners are the sockets of the server's network namespace.
func listeners(c *vantageCase) bool { return c.Server.Listeners != nil }

// secondAnswers are those to probes in other ways.
func secondAnswers(c *vantageCase) bool { return len(c.Vantage.Asked) > 0 }

// routes are those of this machine to the server's addresses.
func routes(c *vantageCase) bool { return len(c.Vantage.Routes) > 0 }
