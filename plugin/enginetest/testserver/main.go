// Testserver is the program in the image of enginetest.TestImage: a server such
// as a user might have in a container, with a flag for each way to behave well
// or badly. It listens on port 8080 and answers every path with 200 and "ok"
// unless a flag says otherwise. Tests run it with the arguments of a container:
//
//	docker run nestprobe-testserver:… --listen 127.0.0.1:8080 --status 503
//
// It knows nothing of nestprobe.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// options are the flags.
type options struct {
	listen      string
	listenAfter time.Duration

	status    int
	body      string
	bodySize  int
	https     bool
	webSocket string
	hang      string
	hostile   string
	h2c       bool
	hosts     []string
	delay     time.Duration
	badFor    time.Duration

	tcpBanner string
	silent    bool
	closes    bool
	serial    bool
	once      bool
	noAccept  bool
	udp       bool
	unix      string

	get        string
	getProxy   bool
	getUntil   string
	getTimeout time.Duration

	connect string
	load    string

	printEnv  string
	printHost string
	printUser bool
	log       string

	exit      bool
	exitCode  int
	exitAfter time.Duration

	ignoreSIGTERM bool
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("testserver", flag.ContinueOnError)
	flags.StringVar(&o.listen, "listen", ":8080", "`address` to listen on; 127.0.0.1:8080 is reachable only from inside the container; none for no listener")
	flags.DurationVar(&o.listenAfter, "listen-after", 0, "start to listen this much later")
	flags.IntVar(&o.status, "status", 200, "HTTP status of every answer; 3xx redirects to /redirected")
	flags.StringVar(&o.body, "body", "ok", "body of every answer")
	flags.IntVar(&o.bodySize, "body-size", 0, "answer with this many `bytes` instead of the body, in packets after that of the headers")
	flags.BoolVar(&o.https, "https", false, "serve HTTPS with a self-signed certificate for localhost and 127.0.0.1, or with the PEM pair in $TESTSERVER_CERT and $TESTSERVER_KEY")
	flags.StringVar(&o.webSocket, "websocket", "", "`path` at which WebSocket messages are echoed")
	flags.StringVar(&o.hang, "hang", "", "`path` at which requests are never answered; each prints \"hanging\" on stderr")
	flags.StringVar(&o.hostile, "hostile", "", "`kind` of answer no client should trust: escape (terminal control sequences), badheader (the same in a header), endless (a body without end), slow (a byte every 100 ms), hugeheader (16 MiB of headers), truncated (less than announced), close (none at all)")
	flags.BoolVar(&o.h2c, "h2c", false, "speak only HTTP/2, without TLS")
	flags.Func("hosts", "serve only these comma-separated `hosts`, as the Host header has them without a port; others get 403", func(list string) error {
		o.hosts = strings.Split(list, ",")
		return nil
	})
	flags.DurationVar(&o.delay, "delay", 0, "wait this long before each answer")
	flags.DurationVar(&o.badFor, "bad-gateway-for", 0, "answer with 502 this long after the start, as a proxy whose backend still starts")
	flags.StringVar(&o.tcpBanner, "tcp-banner", "", "speak no HTTP: send this `text` to every connection, then echo")
	flags.BoolVar(&o.silent, "silent", false, "accept connections and never send a byte")
	flags.BoolVar(&o.closes, "closes", false, "close each connection without a byte, as servers with a list of allowed clients do")
	flags.BoolVar(&o.serial, "serial", false, "handle one connection at a time: accept it, read one request, answer after --delay, close it")
	flags.BoolVar(&o.once, "once", false, "with --serial: exit after the first connection")
	flags.BoolVar(&o.noAccept, "no-accept", false, "listen and never accept a connection")
	flags.BoolVar(&o.udp, "udp", false, "listen with UDP instead of TCP, and never send a byte")
	flags.StringVar(&o.unix, "unix", "", "listen on the Unix socket at this `path` instead of TCP, and never accept a connection; one that begins with @ is abstract")
	flags.StringVar(&o.get, "get", "", "serve nothing: request this `URL` and print the status and the body on a line, or what went wrong in a word: refused, unreachable, timeout, closed, or the error")
	flags.BoolVar(&o.getProxy, "get-proxy", false, "send the request of --get to the proxy of the environment")
	flags.StringVar(&o.getUntil, "get-until", "", "repeat the request until this is what --get would `print`, or its time is over")
	flags.DurationVar(&o.getTimeout, "get-timeout", 5*time.Second, "how long --get takes at most")
	flags.StringVar(&o.connect, "connect", "", "serve nothing: connect to these comma-separated `addresses`, and print each with what happened, on a line: open (also if it was not closed for 300 ms), refused, unreachable, timeout, closed, or the error")
	flags.StringVar(&o.load, "load", "", "serve nothing: for 10 s, open 200 connections a second to this `address`, and close each after 3 ms")
	flags.StringVar(&o.printEnv, "print-env", "", "answer with the value of this environment `variable`")
	flags.StringVar(&o.printHost, "print-host", "", "answer with the addresses of this `name`, as the container resolves it")
	flags.BoolVar(&o.printUser, "print-user", false, "answer with UID:GID")
	flags.StringVar(&o.log, "log", "", "`lines` to print on stderr at the start; \\n parts them")
	flags.IntVar(&o.exitCode, "exit-code", 0, "exit with this `status`")
	flags.DurationVar(&o.exitAfter, "exit-after", 0, "exit this much after the start; immediately with only --exit-code")
	flags.BoolVar(&o.ignoreSIGTERM, "ignore-sigterm", false, "ignore the request to stop")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if _, ok := hostile(o.hostile); o.hostile != "" && !ok {
		return options{}, fmt.Errorf("there is no hostile answer %q", o.hostile)
	}
	flags.Visit(func(f *flag.Flag) {
		o.exit = o.exit || f.Name == "exit-code" || f.Name == "exit-after"
	})
	return o, o.fillBody()
}

// fillBody sets the body of answers that describe the container.
func (o *options) fillBody() error {
	if o.printEnv != "" {
		value, ok := os.LookupEnv(o.printEnv)
		if !ok {
			return fmt.Errorf("%s is not set", o.printEnv)
		}
		o.body = value
	}
	if o.printHost != "" {
		addresses, err := net.DefaultResolver.LookupHost(context.Background(), o.printHost)
		if err != nil {
			return err
		}
		o.body = strings.Join(addresses, " ")
	}
	if o.printUser {
		o.body = strconv.Itoa(os.Getuid()) + ":" + strconv.Itoa(os.Getgid())
	}
	return nil
}

func main() {
	o, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "testserver:", err)
		os.Exit(2)
	}
	switch {
	case o.get != "":
		os.Exit(get(os.Stdout, o))
	case o.connect != "":
		connect(os.Stdout, o.connect)
		return
	case o.load != "":
		load(o.load)
		return
	}
	code, err := run(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testserver:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

// run serves until it is to stop or to exit, and returns the exit status.
func run(o options) (int, error) {
	ctx, stop := stopContext(o)
	defer stop()
	printLog(o.log)
	if o.exit {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.exitAfter)
		defer cancel()
	}
	if err := wait(ctx, o.listenAfter); err != nil {
		return o.exitCode, nil
	}
	ctx, done := context.WithCancel(ctx)
	defer done()
	group, ctx := errgroup.WithContext(ctx)
	if o.listen != "none" {
		group.Go(func() error {
			defer done()
			return serve(ctx, o)
		})
	}
	<-ctx.Done()
	if err := group.Wait(); err != nil {
		return 1, err
	}
	return o.exitCode, nil
}

// stopContext ends with the signal that docker stop sends, or, for a server
// that ignores it, never. As the first process of its container it would
// otherwise not even die of it.
func stopContext(o options) (context.Context, context.CancelFunc) {
	if o.ignoreSIGTERM {
		signal.Ignore(syscall.SIGTERM)
		return context.WithCancel(context.Background())
	}
	return signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
}

func wait(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
