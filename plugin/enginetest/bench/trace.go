package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/client"
)

// timeline notes when what happened while a command ran, from its start.
type timeline struct {
	began time.Time

	mu    sync.Mutex
	spans []*span
}

// span is one line of a time line: a call of the API, or a moment.
type span struct {
	name       string
	begin, end time.Duration
	answered   time.Duration // when the first byte of the answer had arrived; 0 if none did
	moment     bool
}

// trace runs a command of the plugin behind a proxy in front of the engine, and prints the
// calls of the API of the fastest of several runs on a time line: the others show what
// else this machine was doing.
func trace(ctx context.Context, plugin string, args []string) error {
	config, err := installPlugin(plugin)
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(config) }()
	socket := filepath.Join(config, "engine.sock")
	t := &timeline{}
	stop, err := t.serve(ctx, socket)
	if err != nil {
		return err
	}
	defer stop()
	command := append([]string{"nestprobe"}, args...)
	var fastest []*span
	for range tracedRuns {
		spans, err := t.run(ctx, config, "unix://"+socket, command)
		if err != nil {
			return err
		}
		if fastest == nil || end(spans) < end(fastest) {
			fastest = spans
		}
	}
	fmt.Printf("docker %s: the fastest of %d runs\n", strings.Join(command, " "), tracedRuns)
	printSpans(os.Stdout, fastest)
	return nil
}

const tracedRuns = 10

// end is when the command had ended.
func end(spans []*span) time.Duration {
	var last time.Duration
	for _, s := range spans {
		last = max(last, s.begin)
	}
	return last
}

// serve passes the calls that arrive at a socket on to the engine of the environment, and
// notes them. The caller calls stop when the command has ended.
func (t *timeline) serve(ctx context.Context, socket string) (stop func(), err error) {
	engine, err := client.NewClientWithOpts(client.FromEnv)
	if err != nil {
		return nil, err
	}
	dial := engine.Dialer()
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DisableCompression:  true,
		MaxIdleConnsPerHost: 100, // as many as the plugin may have
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}
	proxy := &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1, // streams are followed as they come
		ErrorLog:      log.New(io.Discard, "", 0),
		Rewrite:       func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "engine" },
		ModifyResponse: func(response *http.Response) error {
			if s, ok := response.Request.Context().Value(spanKey{}).(*span); ok {
				t.update(func() { s.answered = time.Since(t.began) })
			}
			return nil
		},
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := t.begin(r.Method + " " + shortPath(r.URL.Path))
		defer func() { t.update(func() { s.end = time.Since(t.began) }) }()
		proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), spanKey{}, s)))
	})}
	served := make(chan struct{})
	go func() { // ends with the server
		defer close(served)
		_ = server.Serve(listener)
	}()
	return func() {
		_ = server.Close()
		<-served
		transport.CloseIdleConnections()
		_ = engine.Close()
	}, nil
}

type spanKey struct{}

var (
	apiVersion = regexp.MustCompile(`^/v[0-9.]+/`)
	longID     = regexp.MustCompile(`[0-9a-f]{64}`)
)

// shortPath is the path of a call without the API's version, with short IDs.
func shortPath(path string) string {
	const digits = 12
	path = apiVersion.ReplaceAllString(path, "/")
	return longID.ReplaceAllStringFunc(path, func(id string) string { return id[:digits] })
}

func (t *timeline) update(change func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change()
}

func (t *timeline) begin(name string) *span {
	s := &span{name: name, begin: time.Since(t.began)}
	t.update(func() { t.spans = append(t.spans, s) })
	return s
}

// note adds a moment.
func (t *timeline) note(name string) {
	now := time.Since(t.began)
	t.update(func() { t.spans = append(t.spans, &span{name: name, begin: now, end: now, moment: true}) })
}

// run runs docker with the arguments, and returns what happened. A command that found
// something, and exits with 1, is traced like any other.
func (t *timeline) run(ctx context.Context, config, endpoint string, args []string) ([]*span, error) {
	cmd := exec.CommandContext(ctx, "docker", args...) //nolint:gosec // the arguments are the developer's own
	cmd.Env = append(os.Environ(), "DOCKER_CONFIG="+config, "DOCKER_HOST="+endpoint)
	var output strings.Builder
	noted := &firstWrite{out: &output, first: func() { t.note("-- the first output --") }}
	cmd.Stdout, cmd.Stderr = noted, &output
	t.update(func() { t.began, t.spans = time.Now(), nil })
	err := cmd.Run()
	t.note("-- the end of the command --")
	if exit := new(exec.ExitError); errors.As(err, &exit) && exit.ExitCode() == 1 {
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", cmd, err, output.String())
	}
	var spans []*span
	t.update(func() { // copies, since a call that is still open may end at any time
		for _, s := range t.spans {
			spans = append(spans, new(*s))
		}
	})
	return spans, nil
}

// firstWrite calls first once, before it passes on what is written.
type firstWrite struct {
	out   io.Writer
	first func()
	once  sync.Once
}

// Write implements io.Writer.
func (w *firstWrite) Write(p []byte) (int, error) {
	w.once.Do(w.first)
	return w.out.Write(p)
}

// printSpans prints one line for each call: when it began, how long it took, and a bar,
// with "=" until the first byte of the answer and "-" until its end.
func printSpans(out io.Writer, spans []*span) {
	slices.SortStableFunc(spans, func(a, b *span) int { return int(a.begin - b.begin) })
	total := end(spans)
	_, _ = fmt.Fprintf(out, "%9s %9s  %-52s\n", "at ms", "took ms", "call")
	for _, s := range spans {
		if s.end == 0 {
			s.end = total // still open at the end
		}
		took := fmt.Sprintf("%.1f", milliseconds(s.end-s.begin))
		if s.moment {
			took = ""
		}
		_, _ = fmt.Fprintf(out, "%9.1f %9s  %-52s |%s|\n", milliseconds(s.begin), took, s.name, s.bar(total))
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// bar draws the span on a line of 60 characters.
func (s *span) bar(total time.Duration) string {
	const width = 60
	at := func(d time.Duration) int { return min(int(d*width/max(total, 1)), width-1) }
	bar := []byte(strings.Repeat(" ", width))
	for i := at(s.begin); i <= at(s.end); i++ {
		bar[i] = '-'
		if s.answered == 0 || i <= at(s.answered) {
			bar[i] = '='
		}
	}
	if s.moment {
		bar[at(s.begin)] = '^'
	}
	return string(bar)
}
