//go:build linux

package main

import (
	"context"
	"crypto/sha1" //nolint:gosec // RFC 6455 asks for it
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/jsonmessage"

	"github.com/nestprobe/docker-nestprobe/plugin/engine/agentimage"
)

// attack is many trials of one kind.
type attack struct {
	name   string
	waits  int // how many times as many trials run in parallel, since they mostly wait
	trials []trial
}

// Bounds within which a command ends.
const (
	killBound      = 5 * time.Second
	interruptBound = 10 * time.Second
	doubleBound    = 3 * time.Second
	// serverBound is for a run with --wait 3s whose server never answers well: the wait, the
	// second questions with ten times the time limit, and a witness.
	serverBound = 20 * time.Second
	// engineBound is for an engine that does not answer a call: 60 s, and the clean-up.
	engineBound = 75 * time.Second
)

// commands are what is killed and interrupted, with how long each takes untouched on a machine
// of two processors that is busy with other trials.
func commands(target string) []struct {
	name  string
	args  []string
	takes time.Duration
} {
	return []struct {
		name  string
		args  []string
		takes time.Duration
	}{
		{"run", []string{"run", "--network-driver", "bridge"}, 2500 * time.Millisecond},
		{"in-container", []string{"in-container"}, 4 * time.Second},
		{"relay", []string{"in-container", "--relay"}, 5 * time.Second},
		{"networks", []string{"run", "--networks", "user-bridge,internal"}, 6 * time.Second},
		{"diagnose", []string{"diagnose", "--from", "network:bridge", target}, 3 * time.Second},
	}
}

// attacks are all attacks, each with its trials.
func attacks(r *firingRange, trials int, target string) []attack {
	var all []attack
	kill := func(p *os.Process, _ *front, _ <-chan struct{}) { _ = p.Kill() }
	for _, c := range commands(target) {
		a := attack{name: c.name + " killed"}
		for range trials {
			a.trials = append(a.trials, trial{args: c.args, what: "SIGKILL", bound: killBound, after: r.instant(c.takes), hit: kill})
		}
		all = append(all, a)
	}
	for _, c := range commands(target) {
		if c.name != "run" && c.name != "networks" && c.name != "in-container" {
			continue
		}
		once, twice := attack{name: c.name + " interrupted"}, attack{name: c.name + " interrupted twice"}
		for range max(1, trials/4) {
			once.trials = append(once.trials, trial{args: c.args, what: "SIGINT", codes: interruptCodes(), bound: interruptBound, after: r.instant(c.takes), hit: interrupt(0)})
			pause := 20*time.Millisecond + r.instant(500*time.Millisecond)
			twice.trials = append(twice.trials, trial{args: c.args, what: "SIGINT, twice", codes: interruptCodes(), bound: doubleBound, after: r.instant(c.takes), hit: interrupt(pause)})
		}
		all = append(all, once, twice)
	}
	return append(all, engineAttacks(r, trials)...)
}

// interruptCodes are the statuses of an interrupted command, which may have ended before; -1 is
// that of a signal that came before the command has handled signals.
func interruptCodes() []int { return []int{130, 0, 1, -1} }

// interrupt sends SIGINT, and again after a pause unless that is 0.
func interrupt(pause time.Duration) func(*os.Process, *front, <-chan struct{}) {
	return func(p *os.Process, _ *front, end <-chan struct{}) {
		_ = p.Signal(syscall.SIGINT)
		if pause > 0 && isPending(end, pause) {
			_ = p.Signal(syscall.SIGINT)
		}
	}
}

// engineAttacks are those by the engine and by servers.
func engineAttacks(r *firingRange, trials int) []attack {
	run := []string{"run", "--network-driver", "bridge", "--wait", "3s"}
	lost, stopped, gone := attack{name: "engine killed, back after 3 s"}, attack{name: "engine stopped for 4 s", waits: 2}, attack{name: "engine stopped for good", waits: 8}
	for range max(1, trials/5) {
		lost.trials = append(lost.trials, trial{args: run, what: "connections lost", codes: []int{0, 1, 125}, bound: engineBound, after: r.instant(2 * time.Second), hit: func(_ *os.Process, f *front, end <-chan struct{}) {
			f.die()
			if isPending(end, 3*time.Second) {
				f.heal()
			}
		}})
		stopped.trials = append(stopped.trials, trial{args: run, what: "engine stopped", codes: []int{0, 1, 125}, bound: engineBound, after: r.instant(2 * time.Second), hit: func(_ *os.Process, f *front, end <-chan struct{}) {
			f.freeze()
			isPending(end, 4*time.Second)
			f.thaw()
		}})
		gone.trials = append(gone.trials, trial{args: run, what: "engine stopped", codes: []int{0, 1, 125}, bound: engineBound, after: r.instant(2 * time.Second), hit: func(_ *os.Process, f *front, _ <-chan struct{}) { f.freeze() }})
	}
	exhausted := attack{name: "exhausted engine"}
	for call, message := range map[string]string{
		`^POST /networks/create$`:               "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
		`^POST /containers/[^/]+/start$`:        "driver failed programming external connectivity on endpoint x: all ports are allocated",
		`^POST /containers/create$`:             "open /var/lib/docker/containers/x/config.v2.json: no space left on device",
		`^POST /(images/load|networks/create)$`: "write /var/lib/docker/tmp/x: no space left on device",
	} {
		exhausted.trials = append(exhausted.trials, trial{args: run, what: message, codes: []int{125}, bound: serverBound, rule: &rule{regexp.MustCompile(call), status(500, fmt.Sprintf(`{"message":%q}`, message))}})
	}
	full := attack{name: "stdout on a full disk"}
	for _, format := range []string{"table", "json", "markdown", "env"} {
		full.trials = append(full.trials, trial{args: slices.Concat(run, []string{"--format", format}), what: "full disk", codes: []int{125}, bound: serverBound, full: true})
	}
	hostile := attack{name: "hostile servers", waits: 2}
	for _, way := range hostileWays() {
		hostile.trials = append(hostile.trials, trial{
			args: []string{"run", "--wait", "3s", "--timeout", "500ms", "--websocket", "/ws", r.image, serveRole, way}, what: way, codes: []int{0, 1}, bound: serverBound,
		})
	}
	return []attack{lost, stopped, gone, exhausted, full, hostile, misbehaving(r)}
}

// callsPerAnswer is how many calls each bad answer is given to.
const callsPerAnswer = 3

// misbehaving gives every bad answer to some of the calls.
func misbehaving(r *firingRange) attack {
	a := attack{name: "misbehaving engine", waits: 3}
	answers, calls := badAnswers(), badCalls()
	next := int(r.instant(time.Duration(len(calls)))) // each call has its turn
	for _, way := range slices.Sorted(maps.Keys(answers)) {
		for range callsPerAnswer {
			call := calls[next%len(calls)]
			next++
			a.trials = append(a.trials, trial{
				args: []string{"run", "--wait", "3s"}, what: way + " for " + call, codes: []int{0, 1, 125}, bound: engineBound,
				rule: &rule{regexp.MustCompile(call), answers[way]},
			})
		}
	}
	return a
}

// acceptKey answers a WebSocket's key (RFC 6455, section 4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(strings.TrimSpace(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // as above
	return base64.StdEncoding.EncodeToString(sum[:])
}

// loadOwnImage puts an image of this program on the engine, which must have this machine's CPU.
func loadOwnImage(ctx context.Context, api *client.Client) (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	binary, err := os.ReadFile(path) //nolint:gosec // this program
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(binary)
	archive := agentimage.Archive{
		Tag: "nestprobe-attack:" + hex.EncodeToString(sum[:6]), Binary: binary, BinaryName: "attack",
		OS: "linux", Arch: runtime.GOARCH, ExposedPorts: []string{fmt.Sprintf("%d/tcp", hostilePort)},
	}
	content, writer := io.Pipe()
	go func() { // ends with the request
		_, err := archive.WriteTo(writer)
		_ = writer.CloseWithError(err)
	}()
	response, err := api.ImageLoad(ctx, content)
	_ = content.Close()
	if err != nil {
		return "", err
	}
	defer response.Body.Close() //nolint:errcheck // read to its end
	return archive.Tag, jsonmessage.DisplayJSONMessagesStream(response.Body, io.Discard, 0, false, nil)
}

// startTarget starts the server that diagnose explains, and returns its name and what removes
// it and the images.
func (r *firingRange) startTarget(ctx context.Context) (target string, remove func(), err error) {
	created, err := r.engine.ContainerCreate(ctx, &container.Config{Image: r.image, Cmd: []string{serveRole, "http-0.9"}}, &container.HostConfig{}, nil, nil, "")
	if err != nil {
		return "", nil, err
	}
	remove = func() {
		ctx := context.WithoutCancel(ctx)
		_ = r.engine.ContainerRemove(ctx, created.ID, container.RemoveOptions{Force: true})
		_, _ = r.engine.ImageRemove(ctx, r.image, image.RemoveOptions{Force: true})
	}
	if err := r.engine.ContainerStart(ctx, created.ID, container.StartOptions{}); err != nil {
		remove()
		return "", nil, err
	}
	return created.ID[:12] + fmt.Sprintf(":%d", hostilePort), remove, nil
}
